"""What charms written for charmhelpers.coordinator or the old layer:coordinator rely on."""
