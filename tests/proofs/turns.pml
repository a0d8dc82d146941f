/* Taking turns on Juju: the ticket lock of layer:coordinator, written a second time.
 *
 * N units ask R times each for one lock. Each runs hooks and actions, one at a time; a hook may fail,
 * lose its commit or be run again after it, and leadership moves between any two steps.
 * Written from the protocol's rules (docs/protocol.md), not from the Python. README.md beside this
 * file says what is promised, and which name here is which in the layer.
 *
 *     spin -a -DN=2 -DR=1 -DJUJU=3 turns.pml && gcc -O2 -DSAFETY -o pan pan.c && ./pan
 *
 * Whatever is one hook-tool call, or one commit by Juju, is one `atomic` here, together with
 * the arithmetic that follows on values already read. A write of leader settings is two: the
 * controller's check that the unit leads, and the landing. Nothing else is atomic. `d_step` is
 * arithmetic only. A killed hook is a failed one: between two calls it has nothing to lose
 * that a failure a little later would not lose too.
 */
#ifndef N
#define N 2        /* units: 2 or 3 */
#endif
#ifndef R
#define R 1        /* requests of each unit */
#endif
#ifndef SLOTS
#define SLOTS 1    /* turns at once */
#endif
#ifndef JUJU
#define JUJU 3     /* 3: leader settings, written at once. 4: application databag, with the hook */
#endif
#ifndef BREAK
#define BREAK 0    /* the rule that is broken on purpose; with one digit more, in another way */
#endif
#if N * R > 7 || N > 3
#error "a ticket has 3 bits, and peers are named one by one below"
#endif
/* Further: ACTIONS, units also run actions. KEEP, a turn may go on after its hook. FORGET, local stores are lost. LOSE=n, the ledger is lost
 * once, and terms end at n; STALE, also while a leader is about to write. FAULTS=n, MOVES=n: no more
 * failed hooks, moves of leadership, than n. OPENED, a leader has made the first ledger. COARSE, larger steps. LIVE, calm weather is also searched for histories without end.
 * SILENT, no leader-elected for leadership that comes back within a hook. NOTICK, no update-status.
 * WAKES, hooks for news that cannot matter do not run. NORETRY, an operator may resolve a failed hook with no retry. */

/* What Juju keeps, and each unit's local store. */

typedef Claim {
    byte asked; byte done;   /* both only grow; a request while asked > done */
    bit  begun;              /* handlers have run at the turn of this request */
    bit  again;              /* one more request is to be made when this one is done */
    byte term;               /* LOSE: the highest term that this unit knows of, */
    byte from              /* and the unit whose claim of it this one has read, plus 1; 0 if it has only heard */
};
typedef Units { bit by[N] };

byte  leader;            /* the unit that leads, as the controller has it */
/* Every unit has a key of its own for the ledger. Of all keys, this can still matter: */
byte  highest;           /* the highest term that is claimed in any */
bit   atop[N];           /* this unit's key claims it */
byte  opened;            /* the highest term under which a ledger is open; 0: there is no ledger */
byte  keeper;            /* the unit in whose key that one is */
int   ledger;            /* its tickets, front first, 3 bits each; 0 ends it */

Claim store[N];          /* a unit's claim in its local store: written at once, but for `done`, which is
                          * in the charm's key-value store: written when all handlers have succeeded */
byte  sure[N];           /* there, too: it saw the ticket of its request when the ledger was not contested */
Claim bag[N];            /* a unit's claim in its databag: committed with the hook */
Units news[N];           /* whose relation-changed a unit has yet to run */
bit   due[N];            /* another hook is due: leadership, ledger, a retry. One bit: Juju merges */
bit   runs[N];           /* a hook or an action is under way */
#ifdef LIVE
bit   calm;              /* nothing goes wrong any more, and nothing happens that Juju does not owe */
#else
#define calm 0           /* whatever may happen in calm weather may happen in any */
#endif

bit   leads[N];          /* is-leader said True in this hook, and never False since (sticky, R15) */
byte  top[N];            /* the highest term claimed, as a leader's hook has read it */
byte  writes[N];         /* Juju 3: the write under way. Juju 4: what this hook has to commit */
#define CLAIM  1         /* a claim of the next term */
#define LEDGER 2         /* the ledger in the unit's own key, opened under the term claimed there */
#define BOTH   3
#ifdef SILENT
bit   led[N];            /* it led when this hook began */
#endif
#ifdef FORGET
byte  ended[N];          /* the key-value store, which may outlive the local store */
#endif
#ifdef WAKES
#define DATA 8
#define ALL  15
byte  hears[N] = ALL;    /* rule 19, the wake file: a bit for each unit whose news runs a hook, one for the leader's data */
int   part[N];           /* tickets; while the ledger has them in a row, the leader's data run no hook */
#define HEARS(unit) IN(unit, hears[me])
#if JUJU == 4
bit   shared[N];         /* the application databag has changed: its hook is one that may not run */
#else                    /* leader-settings-changed is the charm's own, and always runs */
#define shared due
#endif
#else
#define HEARS(unit) true
#define shared due
#endif
#ifdef NORETRY
bit   resolved[N];       /* its last hook failed and is not run again; nothing has come since */
#define RETRY if :: due[me] = 1 :: resolved[me] = 1 fi
#else
#define RETRY due[me] = 1
#endif
#ifdef LOSE
byte  tried[N];          /* in the local store, too: the highest term that this unit has claimed */
bit   rebuilt;           /* the ledger was lost, and made anew: its tokens are new ones */
bit   lost;              /* it was lost: that happens once */
#endif

#ifdef MOVES
byte  moves = MOVES;     /* how many more: moves of leadership */
#define MOVE moves--
#define MAY_MOVE moves > 0
#else
#define MOVE skip
#define MAY_MOVE true
#endif
#ifdef FAULTS
byte  faults = FAULTS;   /* how many more: failed, lost or repeated hooks */
#define FAULTY !calm && faults > 0
#define FAULT  faults--
#else
#define FAULTY !calm
#define FAULT  skip
#endif
#ifdef COARSE            /* nobody comes between a hook's begin, or an ask, and what they bring: */
bit   busy;              /* less than Juju allows, for 3 units, whose every history is too much */
#define FREE    !busy
#define BUSY(x) busy = x
#else
#define FREE    true
#define BUSY(x) skip
#endif

/* What is only watched. */

byte  works[N];          /* the ask at whose turn a unit is at work; 0 once a hook has succeeded */
bit   through[N];        /* all handlers of a hook have succeeded at that turn */
byte  used;              /* tickets at the front whose tokens are no higher than the highest one used;
                          * the place is the token, since leaders only append */

/* Scratch of one d_step, 0 after it; not `hidden`, which spin cannot search breadth first. */

byte place, ticket, who, other, ahead, behind, unfinished;
int  present, basis;
bit  upwards, stands;

inline clean() {
    place = 0; ticket = 0; who = 0; other = 0; ahead = 0; behind = 0; unfinished = 0;
    present = 0; basis = 0; upwards = 0; stands = 0
}

#define TICKET(unit, ask)  ((unit) * R + (ask))
#define UNIT(ticket)       (((ticket) - 1) / R)
#define ASK(ticket)        (((ticket) - 1) % R + 1)
#define AT(tickets, place) (((tickets) >> (3 * (place))) & 7)
#define IN(tickets, bits)  (((bits) >> (tickets)) & 1)

#define OPEN(claim)        (claim.asked > claim.done)
#define SERVED(unit)       (!OPEN(store[unit]) && bag[unit].asked == store[unit].asked \
                            && bag[unit].done == store[unit].done && !works[unit])

/* The promises. A broken protocol is followed to two units at work, so only that is asserted there. */

#if BREAK == 0 || BREAK == 7
#define STRICT 1
#else
#define STRICT 0
#endif

inline tickets_of(tickets) { /* present: which tickets are there, a bit for each */
    for (place : 0 .. N * R - 1) { present = present | (1 << AT(tickets, place)) }
}

inline promise_at_work() {
    d_step {
        for (who : 0 .. N - 1) { ahead = ahead + (works[who] != 0) }
        assert(ahead <= SLOTS);                         /* never more at work than slots */
#if STRICT
        assert(bag[me].done < works[me]);               /* by a ticket that is unfinished, */
#ifndef LOSE
        tickets_of(ledger);
        assert(IN(TICKET(me, works[me]), present));     /* and stands */
        for (place : 0 .. N * R - 1) {
            other = (AT(ledger, place) == TICKET(me, works[me]) -> place + 1 : other)
        }
        assert(SLOTS > 1 || other >= used);             /* tokens rise in the order of turns */
        used = (other > used -> other : used);
#endif
#endif
        clean()
    }
}

inline promise_at_write(next) { /* before `next` becomes the newest open ledger */
    d_step {
#if STRICT && !defined(LOSE)
        tickets_of(next);
        for (place : 0 .. N * R - 1) {
            ticket = AT(ledger, place);
            if
            :: ticket != 0 && !IN(ticket, present) ->
                /* a ticket that goes was released in a hook that succeeded, or nobody could use it */
                assert(bag[UNIT(ticket)].done >= ASK(ticket) || place >= used);
                /* a unit at work keeps its ticket, and whoever saw it uncontested does, too */
                assert(works[UNIT(ticket)] != ASK(ticket));
                assert(!sure[UNIT(ticket)] || store[UNIT(ticket)].asked != ASK(ticket)
                       || bag[UNIT(ticket)].done >= ASK(ticket))
            :: else
            fi;
            behind = behind + (place < used && ticket != 0 && IN(ticket, present))
        }
        used = behind;
#endif
        clean()
    }
}

inline promise_at_success() { /* rule 12: a hook that succeeds has done the work that was begun, or one did before */
#ifndef FORGET           /* who has lost the store does not know what has begun; its ticket stands */
    assert(works[me] == 0 || turn || over || through[me]);
#endif
    works[me] = 0; through[me] = 0
}

inline promise_at_rest() { /* when everything that was owed has run, a unit that still waits would wait for ever */
    d_step {
        for (who : 0 .. N - 1) {
            ahead = ahead + (runs[who] || due[who] || shared[who]);
#ifdef NORETRY           /* the operator's own word: it goes on with whatever comes next */
            ahead = ahead + resolved[who];
#endif
            for (other : 0 .. N - 1) { ahead = ahead + news[who].by[other] }
        }
#if !defined(SILENT) || !defined(WAKES)              /* there, only what `not_run` asserts */
        for (who : 0 .. N - 1) {
            if
            :: ahead == 0 -> assert(SERVED(who))
            :: else
            fi
        }
#endif
        clean()
    }
}

/* What a unit knows. `seen` is its agent's cache of a peer's databag: dropped when a hook of
 * that peer's relation-changed begins, filled by the next read, and kept until then (R6). */

#define DONE(unit)      ((unit) == me -> store[me].done : seen[unit].done)
#define WANTS(unit)     ((unit) == me -> OPEN(store[me]) : OPEN(seen[unit]))
#define ASKED(unit)     ((unit) == me -> store[me].asked : seen[unit].asked)
#define BEGUN(unit)     ((unit) == me -> store[me].begun : seen[unit].begun)

#if BREAK == 2          /* absence of data is a release */
#define FINISHED(ticket)     (DONE(UNIT(ticket)) >= ASK(ticket) || ASKED(UNIT(ticket)) == 0)
#else
#define FINISHED(ticket)     (DONE(UNIT(ticket)) >= ASK(ticket))
#endif
#if BREAK == 9          /* a release counts before its hook has succeeded */
#define RELEASED(ticket)     FINISHED(ticket)
#else                   /* the leader's own release, too, only as committed */
#define RELEASED(ticket)     (UNIT(ticket) == me -> bag[me].done >= ASK(ticket) : FINISHED(ticket))
#endif
#if BREAK == 3          /* one slot too many */
#define HOLDS           (stands && ahead <= SLOTS)
#elif BREAK == 4        /* waits until the leader drops the tickets ahead, finished or not */
#define HOLDS           (stands && ahead + behind < SLOTS)
#else
#define HOLDS           (stands && ahead < SLOTS)
#endif
#if BREAK == 5          /* used before it is durable */
#define TRUSTED         out
#else
#define TRUSTED         mine
#endif
#ifdef LOSE             /* what a term that is known, but nowhere claimed, says; and whose tokens are seen */
#define GONE            (store[me].term > top[me])
#define EPOCH           (1 + fresh)
#else
#define GONE            false
#define EPOCH           1
#endif
#if BREAK == 132        /* a contested ledger counts like any other */
#define CERTAIN         true
#else
#define CERTAIN         (!contested || sure[me] == EPOCH)
#endif
#ifdef LOSE             /* rule 14: its ask is Juju's, or Juju has heard of it before */
#if BREAK == 143        /* or not */
#define KNOWN_OF        true
#else
#define KNOWN_OF        (bag[me].asked >= store[me].asked || bag[me].term > 0)
#endif
#else
#define KNOWN_OF        true
#endif
#define MAY_USE         (CERTAIN && !GONE && KNOWN_OF)

inline hear(peer) { /* one relation-get; free of charge where the agent has it cached */
    d_step {
        known[peer] = 1;
        seen[peer].asked = bag[peer].asked;
        seen[peer].done = bag[peer].done;
#ifdef LOSE
        seen[peer].begun = bag[peer].begun;
        seen[peer].term = bag[peer].term;
        seen[peer].from = bag[peer].from;
        if
        :: seen[peer].term > store[me].term -> store[me].term = seen[peer].term; store[me].from = 0
        :: else
        fi
#endif
    }
}

/* What a leader may do in this hook. */
#define NOTHING 0
#define CLAIMS  1        /* another term is above its own, or it has none */
#define OPENS   2        /* its claim is the one highest: it copies the newest open ledger */
#define APPENDS 3        /* the newest open ledger is its own, and nobody has claimed a higher term */

inline read() { /* all keys, in one call */
    d_step {
        mine = ledger; out = ledger;
        none = (opened == 0); contested = (highest > opened);
#ifdef LOSE
        fresh = rebuilt;
        top[me] = highest;
        for (who : 0 .. N - 1) {
            if
            :: highest >= store[me].term && atop[who] -> store[me].term = highest; store[me].from = who + 1
            :: else
            fi
        }
#endif
        if
        :: leads[me] ->
            top[me] = highest;
            for (who : 0 .. N - 1) { ahead = ahead + atop[who] }
            if
#if BREAK == 13          /* one ledger, and no terms */
            :: true -> may = APPENDS; top[me] = 1
#else
            :: atop[me] && highest == opened && keeper == me -> may = APPENDS
#if BREAK == 133         /* opens although another has claimed the same term */
            :: atop[me] && !(highest == opened && keeper == me) -> may = OPENS
#else
            :: atop[me] && ahead == 1 && highest != opened -> may = OPENS
#endif
#endif
#if BREAK != 13
            :: else -> may = (claimed -> NOTHING : CLAIMS)       /* once in a hook */
#endif
            fi
        :: else -> none = 0
        fi;
        clean()
    }
}

#if BREAK == 145        /* the number of the term is enough */
#define ECHOES(unit)    (seen[unit].term >= top[me])
#else                   /* its number, as that of this leader's claim: a lost one may have had the same */
#define ECHOES(unit)    (seen[unit].term == top[me] && seen[unit].from == me + 1)
#endif
#if BREAK == 144        /* waits only for those whom it has heard speak: what it has heard may be old (R6) */
#define AWAITED(unit)   (seen[unit].asked > 0 || seen[unit].term > 0)
#else                   /* for everybody, unless nobody knows of any ledger before */
#define AWAITED(unit)   (seen[unit].asked > 0 || top[me] > 1)
#endif

#if BREAK == 136        /* claims only when a ticket is owed */
#define DOUBT           false
#else                   /* also where somebody may wait with a ticket that nobody may use yet */
#define DOUBT           (contested && unfinished > 0)
#endif

inline decide(tickets) { /* plan: the ledger as the leader would have it; owes: it has something to write */
    if :: upwards = 0 :: upwards = 1 fi;     /* requests seen together may come in either order */
    d_step {
        basis = tickets; plan = 0;
        may = (GONE && may != NOTHING -> (claimed -> NOTHING : CLAIMS) : may);
        for (place : 0 .. N * R - 1) {
            ticket = AT(basis, place);
            if
            :: ticket == 0 -> break
            :: else ->
                present = present | (1 << ticket);
                unfinished = unfinished + !FINISHED(ticket);
                stands = !RELEASED(ticket);
                plan = plan | (stands * ticket << (3 * behind));
                behind = behind + stands
            fi
        }
        place = behind;
#if BREAK != 146 && defined(LOSE)          /* rule 14: its own turn that is over, but not yet for Juju, */
        if
        :: none && store[me].done > bag[me].done ->
            plan = TICKET(me, store[me].done); present = present | (1 << plan); behind++
        :: else
        fi;
#endif
#if BREAK != 142 && defined(LOSE)
        for (who : 0 .. N - 1) {               /* and begun turns first */
            ticket = TICKET(who, ASKED(who));
            if
            :: none && WANTS(who) && BEGUN(who) && !IN(ticket, present) ->
                plan = plan | (ticket << (3 * behind)); present = present | (1 << ticket);
                behind++
            :: else
            fi
        }
#endif
        for (who : 0 .. N - 1) {
            other = (upwards -> who : N - 1 - who);
            ticket = TICKET(other, ASKED(other));
            if
            :: unfinished <= SLOTS && WANTS(other) && !IN(ticket, present) -> /* rule 6: else it can wait */
#if BREAK == 22                                                               /* the leader reorders */
                plan = (plan << 3) | ticket;
#else
                plan = plan | (ticket << (3 * behind));
#endif
                behind++
            :: else
            fi
        }
        owes = (may == OPENS || (may == APPENDS && behind > place)
                || (may == CLAIMS && (behind > place || none || GONE || DOUBT)));
#if BREAK != 14 && defined(LOSE)
        for (who : 0 .. N - 1) {               /* rule 14: not before all have said this term */
            if
            :: may == OPENS && none && who != me && !ECHOES(who) && AWAITED(who) -> owes = 0
            :: else
            fi
        }
#endif
        plan = (owes && may != CLAIMS -> plan : 0);
        clean()
    }
}

inline survey(tickets) { /* turn: this unit holds. unheard: peers with tickets ahead that it must hear first */
    d_step {
        basis = tickets;
        for (place : 0 .. N * R - 1) {
            ticket = AT(basis, place);
            if
            :: ticket == 0 -> break
            :: OPEN(store[me]) && ticket == TICKET(me, store[me].asked) -> stands = 1; break
            :: ticket != 0 && UNIT(ticket) != me ->
                present = present | (!known[UNIT(ticket)] << UNIT(ticket));
                ahead = ahead + !FINISHED(ticket);
                behind = behind + FINISHED(ticket)
            :: else
            fi
        }
        sure[me] = (stands && !contested && !GONE -> EPOCH : sure[me]);
        stands = (stands && MAY_USE);
        unheard = (stands -> present : 0);
        turn = (unheard == 0 && HOLDS);
        clean()
    }
}

inline adopt() { /* rule 8: a ticket above this unit's own claim was asked for, and forgotten */
    d_step {
#if BREAK != 8
        for (place : 0 .. N * R - 1) {
            ticket = AT(mine, place);
            if
            :: ticket != 0 && UNIT(ticket) == me && ASK(ticket) > store[me].asked ->
                store[me].asked = ASK(ticket); store[me].begun = 0; sure[me] = 0
            :: else
            fi
        }
        clean();
#endif
#ifdef FORGET
        store[me].done = (ended[me] == store[me].asked -> ended[me] : store[me].done);
#endif
        forgot = 0
    }
}

inline is_leader() {
    if
    :: leader != me -> leads[me] = 0; printf("%d: hears that it does not lead\n", me)
    :: else
    fi
}

inline wake(all) { /* a key has changed: Juju 3 wakes the others, Juju 4 everybody (R9, R24) */
    d_step {
        for (who : 0 .. N - 1) { shared[who] = (shared[who] || who != me || all) }
        clean()
    }
}

/* Terms are only compared, and one is added to the highest one read: so any gap of three is as
 * good as one of two. With that, a search sees every number of moves of leadership. */
#ifdef LOSE
inline close_gaps() { skip }
#else
inline close_gaps() {
    d_step {
        present = 1 | (1 << highest) | (1 << opened);
        for (who : 0 .. N - 1) { present = present | (1 << top[who]) }
        place = 1;
        do
        :: place >= highest -> break
        :: place < highest && !IN(place, present) && !IN(place - 1, present) ->
            present = (present & ((1 << place) - 1)) | ((present >> 1) & ~((1 << place) - 1));
            highest--;
            opened = opened - (opened > place);
            for (who : 0 .. N - 1) { top[who] = top[who] - (top[who] > place) }
        :: else -> place++
        od;
        clean()
    }
}
#endif

inline land_claim() { /* in the unit's own key */
    d_step {
        ticket = top[me] + 1;
#ifdef LOSE
        ticket = (store[me].term >= ticket -> store[me].term + 1 : ticket);
#if BREAK != 147         /* claims one term a second time: what echoes the first is no echo of this */
        ticket = (tried[me] >= ticket -> tried[me] + 1 : ticket);
        tried[me] = ticket;
#endif
        assert(ticket <= LOSE + 2);
#endif
        if
        :: ticket > highest ->
            highest = ticket;
            keeper = 0;
            for (who : 0 .. N - 1) { atop[who] = (who == me) }
        :: else -> atop[me] = (ticket == highest)
        fi;
        top[me] = ticket;
        clean()
    };
    printf("%d: claims the next term\n", me);
    close_gaps()
}

inline land_ledger(next) {
    if
    :: top[me] >= opened || BREAK == 13 ->
        promise_at_write(next);
        ledger = next; opened = top[me];
#if BREAK == 13
        highest = 1; atop[me] = 1;
#endif
        keeper = (opened == highest -> me : 0);
#ifdef LOSE
        highest = (opened > highest -> opened : highest);    /* STALE: a key that was lost is back */
        atop[me] = (opened == highest); keeper = (opened == highest -> me : 0);
        rebuilt = lost
#endif
    :: else -> printf("%d: its ledger is superseded\n", me)
    fi;
    story(next)
}

inline tell() { /* the claim is committed, and wakes the others where it is new */
    d_step {
#if defined(LOSE) && JUJU == 3 && !defined(NOTICK)
        due[me] = (due[me] || (OPEN(store[me]) && !KNOWN_OF));     /* update-status: as below */
#endif
        present = bag[me].asked; basis = bag[me].done; unfinished = bag[me].begun; ahead = bag[me].term;
        behind = bag[me].from;
        if
#if BREAK != 121 && defined(ACTIONS)    /* what an action publishes includes the end of a turn before it */
        :: aside && (store[me].begun || bag[me].done != store[me].done) ->
#if BREAK == 122         /* it says that it has read a claim, but not what has begun */
            bag[me].term = store[me].term; bag[me].from = store[me].from
#else
            skip         /* rule 12: nothing of a turn that came before it, so nothing at all */
#endif
#endif
        :: else ->
            bag[me].asked = store[me].asked; bag[me].done = store[me].done;
#ifdef LOSE
            bag[me].begun = store[me].begun; bag[me].term = store[me].term; bag[me].from = store[me].from
#endif
        fi;
        other = (bag[me].asked != present || bag[me].done != basis || bag[me].begun != unfinished
                 || bag[me].term != ahead || bag[me].from != behind);
        for (who : 0 .. N - 1) { news[who].by[me] = (who != me && (news[who].by[me] || other)) }
        clean()
    };
    if
#ifdef ACTIONS
    :: aside ->
#if JUJU == 3 && !defined(NOTICK)
        due[me] = (due[me] || leads[me]);      /* update-status, the first to see what a leader gave itself */
#endif
        printf("%d: the action is over; asked %d, done %d\n", me, bag[me].asked, bag[me].done)
#endif
    :: else ->
        if
#ifdef KEEP
        :: kept -> printf("%d: keeps its turn\n", me)
#endif
        :: else -> promise_at_success()
        fi;
        printf("%d: the hook succeeds; asked %d, done %d\n", me, bag[me].asked, bag[me].done)
    fi
}

inline story(tickets) {
    d_step {
        printf("%d: as leader writes", me);
        for (place : 0 .. N * R - 1) {
            ticket = AT(tickets, place);
            if
            :: ticket != 0 -> printf(" ask %d of %d,", ASK(ticket), UNIT(ticket))
            :: else
            fi
        }
        printf(" in this order\n");
        clean()
    }
}

inline commit() { /* one transaction: on Juju 4 refused whole if it has a key to write and its unit leads no more (R10) */
    if
#if JUJU == 4
    :: writes[me] && leader != me -> RETRY; printf("%d: the commit is refused\n", me)
    :: writes[me] && leader == me ->
        if
        :: writes[me] == LEDGER
        :: else -> land_claim()
        fi;
        if
        :: writes[me] == CLAIM
        :: else -> land_ledger(out)
        fi;
        wake(1);
        tell()
#endif
    :: !writes[me] -> tell()
    fi
}

inline end_turn() { /* rule 12: with the charm's key-value store, when all handlers have succeeded */
    d_step {
        if
        :: turn || over ->
            store[me].done = store[me].asked; store[me].begun = 0; sure[me] = 0;
            turn = 0; over = 1;
            through[me] = (works[me] != 0);
#ifdef FORGET
            ended[me] = store[me].done;
#endif
#if R > 1
#ifndef NOTICK
            due[me] = (due[me] || (leads[me] && store[me].again));     /* update-status: nothing else wakes it */
#endif
            store[me].asked = store[me].asked + store[me].again; store[me].again = 0
#endif
        :: else
        fi
    }
}

inline changed(peer) { /* relation-changed of that peer: its cached databag is dropped */
    d_step {
        news[me].by[peer] = 0;
#if BREAK == 193         /* who has news that was put off is not noted */
        if :: HEARS(peer) ->
#endif
        known[peer] = 0; seen[peer].asked = 0; seen[peer].done = 0; seen[peer].begun = 0; seen[peer].term = 0;
        seen[peer].from = 0
#if BREAK == 193
        :: else fi
#endif
    }
}

#ifdef WAKES
#if BREAK == 19          /* watches one too few */
#define WATCHED         (SLOTS - 1)
#else
#define WATCHED         SLOTS
#endif
#if BREAK == 194         /* a leader hears what another unit in its place would */
#define LEADS           false
#else
#define LEADS           leads[me]
#endif

#ifdef ACTIONS
#define IN_A_HOOK(does) if :: aside :: else -> does fi
#else
#define IN_A_HOOK(does) does
#endif

inline withdraw() { /* everything runs */
    hears[me] = ALL; part[me] = 0
}

inline watch(places) { /* present: of the others in these places, the last with unfinished tickets, as many as slots */
    ahead = 0; place = places;
    do
    :: place == 0 || ahead == WATCHED -> break
    :: else ->
        place--; ticket = AT(mine, place);
        if
        :: ticket != 0 && UNIT(ticket) != me && !FINISHED(ticket) -> ahead++; present = present | (1 << UNIT(ticket))
        :: else
        fi
    od;
    stands = (stands && ahead == WATCHED)
}

inline doze() { /* needs, row: what it must hear, as far as the ledger and the claims tell; ALL: everything */
    d_step {
        stands = 1; other = 0;
        for (place : 0 .. N * R - 1) {
            other = (OPEN(store[me]) && AT(mine, place) == TICKET(me, store[me].asked) -> place + 1 : other)
        }
        if
        :: other > 0 ->          /* it waits with a ticket */
            watch(other - 1);
            row = (mine >> (3 * place)) & ((1 << (3 * (other - place))) - 1);
            stands = (stands && !contested && sure[me])
        :: else                  /* without one the leader's data will name it */
        fi;
        if
        :: LEADS ->
            basis = present; watch(N * R); row = 0;
#if BREAK == 191         /* a leader whose slots are taken hears of no unit */
            present = basis;
#endif
            present = present | DATA;
            stands = (stands && !contested && !none)
        :: else
        fi;
        needs = (stands -> present : ALL);
        row = (stands -> row : 0);
        clean()
    }
}

/* What it has told, Juju may not have. */
#if BREAK == 195         /* whether Juju has heard of the last release or not */
#define UNTOLD          (store[me].asked != bag[me].asked)
#elif BREAK == 199 || !defined(NORETRY)                /* a request comes again with the hook's retry */
#define UNTOLD          (over || store[me].done != bag[me].done)
#else
#define UNTOLD          (over || store[me].done != bag[me].done || store[me].asked != bag[me].asked)
#endif
#if BREAK != 197 && defined(SILENT)
#define DEPOSED         (led[me] && !leads[me])        /* it may lead again, and nobody will say so */
#else
#define DEPOSED         false
#endif

inline sleep() { /* at the end of a hook whose handlers have succeeded, before its commit */
    d_step {
#if BREAK == 195
        needs = (over && !leads[me] -> 0 : needs);
#endif
        hears[me] = (turn || writes[me] || UNTOLD || DEPOSED -> ALL : needs);
        part[me] = (hears[me] == ALL -> 0 : row);
        needs = 0; row = 0
    }
}

inline listen() { /* what the script does with the leader's data: a hook is due where they can matter */
    d_step {
        shared[me] = 0;
        for (place : 0 .. N * R - 1) {
            ticket = AT(ledger, place);
            present = present || (ticket != 0 && UNIT(ticket) == me);              /* they name this unit */
            behind = behind + (AT(part[me], place) != 0)
        }
        basis = (1 << (3 * behind)) - 1;
        for (place : 0 .. N * R - 1) {
            stands = stands || (part[me] != 0 && ((ledger >> (3 * place)) & basis) == part[me])
        }
#if BREAK == 198         /* who waits for a ticket hears nothing of the leader's data */
        present = 0;
#endif
        due[me] = (due[me] || IN(3, hears[me]) || (present && !stands));
        clean()
    }
}

inline not_run() { /* a hook has come, and does not run */
#ifdef NORETRY
    resolved[me] = 0;
#endif
#ifdef SILENT
    assert(leader != me || due[me] || IN(3, hears[me]));           /* a leader hears as a leader */
#endif
    promise_at_rest()
}
#endif

/* A hook that nothing brings is left out where it could change nothing at all. */
#define MATTERS (store[me].asked < R || leader == me || !SERVED(me))

#define PEER  ((me + 1) % N)
#define PEER2 ((me + 2) % N)

proctype unit(byte me)
{
    Claim seen[N];       /* peers' claims, as far as this unit may see */
    bit   known[N];
    int   mine;          /* the newest open ledger, as this hook has it cached */
    int   out;           /* the same, on Juju 4 with what this hook will commit */
    bit   none;          /* there is none */
    bit   contested;     /* a higher term is claimed, and not open */
    bit   fresh;         /* LOSE: it was made after the loss */
    byte  may;           /* what it may do as leader */
    bit   claimed;       /* it has claimed in this hook */
    bit   owes;          /* it has something to write, and this is it: */
    int   plan;
    bit   turn;          /* this unit holds the lock */
    bit   over;          /* it has released it in this hook */
    bit   kept;          /* it holds it past the end of this hook */
    byte  unheard;       /* peers to be heard before it is known */
    bit   forgot;        /* its local store was lost, and Juju has not been asked since */
    bit   aside;         /* this is an action, not a hook */
#ifdef WAKES
    byte  needs;         /* what it must hear until its next hook that runs, */
    int   row;           /* and tickets that the ledger must keep; both are written at the end of the hook */
#endif

end:                     /* where a unit may rest; whether it should, `init` asserts */
    atomic {
        if  /* in calm weather only the hooks that are due; else any, at any time */
        :: FREE && !calm && !due[me] && MATTERS -> printf("%d: a hook begins\n", me)
        :: FREE && due[me] -> due[me] = 0; printf("%d: a hook begins, as due\n", me)
        :: FREE && news[me].by[PEER] && HEARS(PEER) ->
            changed(PEER); printf("%d: a hook begins, with news of %d\n", me, PEER)
#if N > 2
        :: FREE && news[me].by[PEER2] && HEARS(PEER2) ->
            changed(PEER2); printf("%d: a hook begins, with news of %d\n", me, PEER2)
#endif
#ifdef WAKES
        :: FREE && news[me].by[PEER] && !HEARS(PEER) ->
            changed(PEER); printf("%d: news of %d runs no hook\n", me, PEER); not_run(); goto end
#if N > 2
        :: FREE && news[me].by[PEER2] && !HEARS(PEER2) ->
            changed(PEER2); printf("%d: news of %d runs no hook\n", me, PEER2); not_run(); goto end
#endif
#if JUJU == 4
        :: FREE && shared[me] ->
            listen(); printf("%d: the leader's data, a hook is due: %d\n", me, due[me]); not_run(); goto end
#endif
#endif
#ifdef ACTIONS
        :: FREE && !calm && MATTERS -> aside = 1; printf("%d: an action begins\n", me)
#endif
#ifdef FORGET
        :: !calm && !SERVED(me) && !forgot ->
            if :: ended[me] = 0 :: skip fi;              /* the key-value store is lost, too, or is not */
            store[me].asked = bag[me].asked; store[me].done = bag[me].done;
            store[me].begun = 0; store[me].again = 0; sure[me] = 0;
            forgot = 1; due[me] = 1;
            printf("%d: loses its local store\n", me);
            goto end
#endif
        fi;
#ifdef NORETRY
        resolved[me] = (aside -> resolved[me] : 0);
#endif
#if BREAK != 192 && defined(WAKES)
        IN_A_HOOK(withdraw());
#endif
        BUSY(1);
        runs[me] = 1;
        leads[me] = (leader == me);
#ifdef SILENT
        led[me] = leads[me];
#endif
        turn = (!aside && OPEN(store[me]) && store[me].begun);       /* rule 11: whatever the ledger says */
#ifndef LOSE
        if
        :: leads[me] || (OPEN(store[me]) && !turn && !aside) || forgot
        :: else -> BUSY(0); goto handlers
        fi
#endif
    };
    atomic {
        read();
        adopt()
    };

give:                    /* what the leader owes: rules 2, 6, 7 and 13 */
    atomic {
        if
        :: leads[me] && !known[PEER] -> hear(PEER); goto give
#if N > 2
        :: leads[me] && !known[PEER2] -> hear(PEER2); goto give
#endif
        :: !leads[me] -> goto look
        :: else ->
            decide(out);
            if
            :: owes -> owes = 0; plan = 0
            :: else -> goto look
            fi
        fi
    };
#if JUJU == 3
write:
    atomic {
#if BREAK != 7           /* decides from what the hook read at its start */
        read();
#endif
        decide(out);
        if
        :: owes -> owes = 0; writes[me] = (may == CLAIMS -> CLAIM : LEDGER)
        :: else -> goto look
        fi
    };
    atomic {             /* is-leader, and the controller's own check */
        is_leader();
        if
        :: leads[me]
        :: else -> writes[me] = 0; plan = 0; goto look
        fi
    };
    atomic {             /* the write lands, whoever leads now */
        if
        :: writes[me] == CLAIM ->
            land_claim(); wake(0);
            writes[me] = 0; claimed = 1;
#if BREAK == 131         /* does not read again after its claim */
            may = OPENS;
            decide(out); owes = 0; writes[me] = LEDGER
#else
            goto write
#endif
        :: else -> land_ledger(plan); wake(0); writes[me] = 0; plan = 0; goto back
        fi
    };
#if BREAK == 131
    atomic { land_ledger(plan); wake(0); writes[me] = 0; plan = 0 };
#endif
back:
    atomic { read() };   /* what it wrote stands, whichever unit leads now */
#else
    atomic {
        is_leader();
        if
        :: leads[me] && may == CLAIMS ->
            writes[me] = CLAIM; may = NOTHING;
#if BREAK == 131         /* opens in the hook that claims */
            may = OPENS; decide(out); out = plan; writes[me] = BOTH; may = APPENDS; owes = 0; plan = 0
#endif
        :: leads[me] && may != CLAIMS ->
            decide(out); out = plan; writes[me] = LEDGER; may = APPENDS; owes = 0; plan = 0
        :: else
        fi
    };
#endif

look:                    /* rules 3, 5 and 13: from the durable ledger and the claims of those ahead */
    atomic {
        if
        :: turn || aside || !OPEN(store[me]) -> BUSY(0)
        :: else ->
            survey(TRUSTED);
            if
            :: IN(PEER, unheard) -> hear(PEER); unheard = 0; goto look
#if N > 2
            :: IN(PEER2, unheard) -> hear(PEER2); unheard = 0; goto look
#endif
            :: unheard == 0 -> BUSY(0)
            fi
        fi;
#ifdef WAKES
        IN_A_HOOK(doze());
#endif
        if  /* what no later step of this hook reads */
#if JUJU == 4
        :: leads[me] && store[me].asked < R
        :: (!leads[me] || store[me].asked == R) && writes[me] ->
            mine = 0; none = 0; contested = 0; may = NOTHING; owes = 0
#endif
        :: JUJU == 3 || ((!leads[me] || store[me].asked == R) && !writes[me]) ->
            mine = 0; out = 0; none = 0; contested = 0; may = NOTHING; claimed = 0; top[me] = 0;
            fresh = 0
        fi;
        close_gaps()
    };

handlers:
    atomic {
        if
        :: FREE && !calm && !OPEN(store[me]) && store[me].asked < R ->
            store[me].asked++; sure[me] = 0;             /* remembered at once */
            printf("%d: asks\n", me);
#if BREAK != 196 && defined(WAKES) && defined(ACTIONS)
            if :: aside -> withdraw() :: else fi;
#endif
            if
            :: leads[me] ->
                BUSY(1);
#if JUJU == 3            /* what the hook has cached tells only whether to read afresh */
                read();
#endif
                goto give
            :: else -> goto handlers
            fi
        :: FREE && !calm && turn && works[me] != store[me].asked ->
            works[me] = store[me].asked;
#if BREAK != 11          /* what has begun is not written down */
            store[me].begun = 1;                         /* at once */
#endif
            printf("%d: WORKS\n", me);
            promise_at_work();
            goto handlers
#if R > 1 || BREAK == 12
        :: FREE && !calm && turn ->
#if BREAK == 12          /* what a handler releases is over at once */
            store[me].done = store[me].asked; store[me].begun = 0;
#else
            over = 1;
#endif
            turn = 0;
            printf("%d: releases early\n", me);
            goto handlers
#endif
#if R > 1
        :: FREE && !calm && over && !store[me].again && store[me].asked < R ->
            store[me].again = 1;
            printf("%d: asks for one more turn\n", me);
            goto handlers
#endif
        :: FREE && FAULTY ->
            FAULT; RETRY;                                /* rule 9: nothing is released, and rule 12 */
            printf("%d: the hook fails\n", me)
        :: FREE ->                                       /* all handlers have succeeded */
#ifdef KEEP
            if
            :: turn && works[me] == store[me].asked -> kept = 1; due[me] = 1
            :: true
            fi;
#endif
            if
            :: !kept -> end_turn()
            :: else
            fi;
#ifdef WAKES
            IN_A_HOOK(sleep());
#endif
            if
            :: commit()
            :: FAULTY -> FAULT; commit(); due[me] = 1; printf("%d: ... and will be run again\n", me)
            :: FAULTY -> FAULT; RETRY; printf("%d: the handlers succeed, the commit is lost\n", me)
            fi
        fi;
        leads[me] = 0; writes[me] = 0; top[me] = 0;      /* a hook's own view ends with it */
#ifdef SILENT
        led[me] = 0;
#endif
        mine = 0; out = 0; none = 0; contested = 0; fresh = 0; may = NOTHING; claimed = 0;
        turn = 0; over = 0; aside = 0; kept = 0; runs[me] = 0;
#ifdef WAKES
        needs = 0; row = 0;
#endif
        close_gaps();
        promise_at_rest()
    };
    goto end
}

/* Leadership moves at any time, and may leave and come back while a hook counts on having it. */
#ifdef LOSE               /* the number of terms must end somewhere */
#define TERMS_LEFT (highest < LOSE && store[0].term < LOSE && store[1].term < LOSE)
#else
#define TERMS_LEFT true
#endif
#ifdef SILENT             /* no leader-elected where it comes back before the hook ends in which it left (R17) */
#define ELECTED(unit) !led[unit]
#else
#define ELECTED(unit) 1
#endif
#define ELECT(unit) \
    atomic { FREE && !calm && MAY_MOVE && leader != unit && TERMS_LEFT -> \
             MOVE; leader = unit; due[unit] = (due[unit] || ELECTED(unit)); printf("leadership moves to %d\n", unit) }

#ifdef STALE
#define UNWRITTEN true
#elif JUJU == 3
#define UNWRITTEN (!writes[0] && !writes[1])
#else
#define UNWRITTEN (!leads[0] && !leads[1])
#endif

init
{
    atomic {
        run unit(0); run unit(1);
#if N > 2
        run unit(2);
#endif
#ifdef OPENED
        highest = 1; opened = 1; atop[0] = 1;        /* unit 0's, and empty; keeper is 0 */
#ifdef LOSE
        store[0].term = 1; store[0].from = 1; tried[0] = 1;
#endif
#endif
        due[0] = 1
    };
endless:
    do
    :: ELECT(0)
    :: ELECT(1)
#if N > 2
    :: ELECT(2)
#endif
#ifdef LOSE
    :: atomic {
        !lost && opened > 0 && UNWRITTEN ->
            lost = 1; highest = 0; opened = 0; keeper = 0; ledger = 0;
            for (who : 0 .. N - 1) { atop[who] = 0; due[who] = 1 }
            who = 0;
            printf("the ledger is lost\n")
       }
#endif
#ifdef LIVE
    :: atomic { !calm -> calm = 1; printf("calm weather from here on\n") }
#endif
    od
}

#ifdef LIVE
#if N > 2
#define ALL_SERVED (SERVED(0) && SERVED(1) && SERVED(2))
#else
#define ALL_SERVED (SERVED(0) && SERVED(1))
#endif
ltl served { [] (calm -> <> ALL_SERVED) }
#endif
