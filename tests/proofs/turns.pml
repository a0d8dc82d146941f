/* Taking turns on Juju: the ticket lock of layer:coordinator, written a second time.
 *
 * N units ask R times each for one lock. Each runs hooks, one at a time; a hook may fail,
 * lose its commit or be run again after it, and leadership moves between any two steps.
 * Written from the protocol's rules (docs/protocol.md), not from the Python. README.md beside this
 * file says what is promised, and which name here is which in the layer.
 *
 *     spin -a -DN=2 -DR=2 -DJUJU=3 turns.pml && gcc -O2 -DSAFETY -o pan pan.c && ./pan
 *
 * Whatever is one hook-tool call, or one commit by Juju, is one `atomic` here, together with
 * the arithmetic that follows on values already read. Nothing else is atomic. `d_step` is
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
#define BREAK 0    /* the rule that is broken on purpose; 22 is rule 2 in another way */
#endif
#if N * R > 7 || N > 3
#error "a ticket has 3 bits, and peers are named one by one below"
#endif
/* Further: FORGET, local stores are lost. ABA, leadership comes back within a hook. FAULTS=n, no more
 * than n faults. COARSE, larger steps. LIVE, calm weather is also searched for histories without end.
 * SILENT, no leader-elected for leadership that comes back within a hook. */

/* What Juju keeps, and each unit's local store. */

typedef Claim { byte asked; byte done };     /* both only grow; a request while asked > done */
typedef Units { bit by[N] };

byte  leader;            /* the unit that leads, as the controller has it */
int   ledger;            /* tickets, front first, 3 bits each; 0 ends it */
Claim store[N];          /* a unit's claim in its local store: written at once */
Claim bag[N];            /* a unit's claim in its databag: committed with the hook */
Units news[N];           /* whose relation-changed a unit has yet to run */
bit   due[N];            /* another hook is due: leadership, ledger, a retry. One bit: Juju merges */
bit   calm;              /* nothing goes wrong any more, and nothing happens that Juju does not owe */

bit   leads[N];          /* is-leader said True in this hook, and never False since (sticky, R15) */
bit   dirty[N];          /* Juju 4: this hook has a ledger to commit */
bit   led[N];            /* it led when this hook began */
bit   writes[N];         /* between the read and the write of the ledger */

#ifdef FAULTS
byte  faults = FAULTS;   /* how many more: failed, lost or repeated hooks, moves of leadership */
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

#define STRICT (BREAK == 0 && !(defined(ABA) && JUJU == 4))

inline tickets_of(tickets) { /* present: which tickets are there, a bit for each */
    for (place : 0 .. N * R - 1) { present = present | (1 << AT(tickets, place)) }
}

inline promise_at_work() {
    d_step {
        for (who : 0 .. N - 1) { ahead = ahead + (works[who] != 0) }
        assert(ahead <= SLOTS);                         /* never more at work than slots */
#if STRICT
        tickets_of(ledger);
        assert(IN(TICKET(me, works[me]), present));     /* by a ticket that stands, */
        assert(bag[me].done < works[me]);               /* unfinished */
        for (place : 0 .. N * R - 1) {
            other = (AT(ledger, place) == TICKET(me, works[me]) -> place + 1 : other)
        }
        assert(SLOTS > 1 || other >= used);             /* tokens rise in the order of turns */
        used = (other > used -> other : used);
#endif
        clean()
    }
}

inline promise_at_write(next) { /* before `next` becomes the ledger */
    d_step {
#if STRICT
        tickets_of(next);
        for (place : 0 .. N * R - 1) {
            ticket = AT(ledger, place);
            /* a ticket that goes was released in a hook that succeeded; a unit at work keeps its ticket */
            assert(ticket == 0 || IN(ticket, present)
                   || (bag[UNIT(ticket)].done >= ASK(ticket) && works[UNIT(ticket)] != ASK(ticket)));
            behind = behind + (place < used && ticket != 0 && IN(ticket, present))
        }
        used = behind;
#endif
        clean()
    }
}

/* What a unit knows. `seen` is its agent's cache of a peer's databag: dropped when a hook of
 * that peer's relation-changed begins, filled by the next read, and kept until then (R6). */

#define DONE(unit)      ((unit) == me -> store[me].done : seen[unit].done)
#define WANTS(unit)     ((unit) == me -> OPEN(store[me]) : OPEN(seen[unit]))
#define ASKED(unit)     ((unit) == me -> store[me].asked : seen[unit].asked)

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
#if JUJU == 4           /* a leader reads its own buffered write, or what the hook read first */
#define NOW             out
#elif BREAK == 7        /* decides from what the hook read at its start */
#define NOW             mine
#else
#define NOW             ledger
#endif

inline hear(peer) { /* one relation-get; free of charge where the agent has it cached */
    d_step {
        known[peer] = 1;
        seen[peer].asked = bag[peer].asked;
        seen[peer].done = bag[peer].done
    }
}

inline decide(tickets) { /* plan: the ledger as the leader would have it; 0 if nothing is owed */
    if :: upwards = 0 :: upwards = 1 fi;     /* requests seen together may come in either order */
    d_step {
        basis = tickets; plan = 0;
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
        plan = (behind > place -> plan : 0);
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
                store[me].asked = ASK(ticket)
            :: else
            fi
        }
        clean();
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

inline wake(all) { /* the ledger has changed: Juju 3 wakes the others, Juju 4 everybody (R9, R24) */
    d_step {
        for (who : 0 .. N - 1) { due[who] = (due[who] || who != me || all) }
        clean()
    }
}

inline tell() { /* the claim is committed, and wakes the others where it is new */
    d_step {
        other = (bag[me].asked != store[me].asked || bag[me].done != store[me].done);
        for (who : 0 .. N - 1) { news[who].by[me] = (who != me && (news[who].by[me] || other)) }
        bag[me].asked = store[me].asked; bag[me].done = store[me].done;
        works[me] = 0;
        clean()
    };
    printf("%d: the hook succeeds; asked %d, done %d\n", me, bag[me].asked, bag[me].done)
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

inline commit() { /* one transaction: on Juju 4 refused whole if it has a ledger and its unit leads no more (R10) */
    if
#if JUJU == 4
    :: dirty[me] && leader != me -> due[me] = 1; printf("%d: the commit is refused\n", me)
    :: dirty[me] && leader == me ->
        promise_at_write(out);
        ledger = out;
        wake(1);
        story(out);
        tell()
#endif
    :: !dirty[me] -> tell()
    fi
}

inline changed(peer) { /* relation-changed of that peer: its cached databag is dropped */
    d_step {
        news[me].by[peer] = 0;
        known[peer] = 0; seen[peer].asked = 0; seen[peer].done = 0
    };
    printf("%d: a hook begins, with news of %d\n", me, peer)
}

/* A hook that nothing brings is left out where it could change nothing at all. */
#define MATTERS (store[me].asked < R || leader == me || !SERVED(me))

#define PEER  ((me + 1) % N)
#define PEER2 ((me + 2) % N)

proctype unit(byte me)
{
    Claim seen[N];       /* peers' claims, as far as this unit may see */
    bit   known[N];
    int   mine;          /* the ledger, as this hook has it cached */
    int   out;           /* the same, on Juju 4 with what this hook will commit */
    int   plan;          /* the ledger it is about to write */
    bit   turn;          /* this unit holds the lock */
    byte  unheard;       /* peers to be heard before it is known */
    bit   forgot;        /* its local store was lost, and Juju has not been asked since */

end:                     /* where a unit may rest; whether it should, `init` asserts */
    atomic {
        if  /* in calm weather only the hooks that are due; else any, at any time */
        :: FREE && !calm && !due[me] && MATTERS -> printf("%d: a hook begins\n", me)
        :: FREE && due[me] -> due[me] = 0; printf("%d: a hook begins, as due\n", me)
        :: FREE && news[me].by[PEER] -> changed(PEER)
#if N > 2
        :: FREE && news[me].by[PEER2] -> changed(PEER2)
#endif
#ifdef FORGET
        :: !calm && !SERVED(me) && !forgot ->
            store[me].asked = bag[me].asked; store[me].done = bag[me].done;
            forgot = 1; due[me] = 1;
            printf("%d: loses its local store\n", me);
            goto end
#endif
        fi;
        BUSY(1);
        leads[me] = (leader == me);
#ifdef SILENT
        led[me] = leads[me];
#endif
        if
        :: leads[me] || OPEN(store[me]) || forgot
        :: else -> BUSY(0); goto handlers
        fi
    };
    atomic {
        mine = ledger;
        out = mine;
        adopt()
    };

give:                    /* what the leader owes: rules 2, 6 and 7 */
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
            :: plan == 0 -> goto look
            :: else -> plan = 0; is_leader()
            fi
        fi
    };
    atomic {
        if
        :: leads[me] -> decide(NOW); writes[me] = 1
        :: else -> goto look
        fi
    };
    atomic { is_leader() };
    atomic {
        writes[me] = 0;
        if
        :: !leads[me] || plan == 0
        :: leads[me] && plan != 0 && leader != me ->
            leads[me] = 0; printf("%d: the ledger's write is refused\n", me)
        :: leads[me] && plan != 0 && leader == me ->
#if JUJU == 3
            promise_at_write(plan); ledger = plan; wake(0);
#else
            out = plan; dirty[me] = 1;
#endif
            story(plan)
        fi
    };
    atomic {
        plan = 0;
#if JUJU == 3
        mine = ledger;   /* read back: what it wrote stands, whichever unit leads now */
        out = mine
#endif
    };

look:                    /* rules 3 and 5: from the durable ledger and the claims of those ahead */
    atomic {
        survey(TRUSTED);
        if
        :: IN(PEER, unheard) -> hear(PEER); unheard = 0; goto look
#if N > 2
        :: IN(PEER2, unheard) -> hear(PEER2); unheard = 0; goto look
#endif
        :: unheard == 0 -> BUSY(0)
        fi
    };

handlers:
    atomic {
        if
        :: FREE && !calm && !OPEN(store[me]) && store[me].asked < R ->
            store[me].asked++;                           /* remembered at once */
            printf("%d: asks\n", me);
            if :: leads[me] -> BUSY(1); goto give :: else -> goto handlers fi
        :: FREE && !calm && turn && works[me] != store[me].asked ->
            works[me] = store[me].asked;
            printf("%d: WORKS\n", me);
            promise_at_work();
            goto handlers
        :: FREE && !calm && turn ->
            store[me].done = store[me].asked; turn = 0;  /* release_lock in a handler */
            printf("%d: releases early\n", me);
            goto handlers
        :: FREE && FAULTY ->
            FAULT; due[me] = 1;                          /* rule 9: nothing is released */
            printf("%d: the hook fails\n", me)
        :: FREE ->                                       /* all handlers have succeeded */
            if
            :: turn -> store[me].done = store[me].asked
            :: else
            fi;
            if
            :: commit()
            :: FAULTY -> FAULT; commit(); due[me] = 1; printf("%d: ... and will be run again\n", me)
            :: FAULTY -> FAULT; due[me] = 1; printf("%d: the handlers succeed, the commit is lost\n", me)
            fi
        fi;
        leads[me] = 0; led[me] = 0; dirty[me] = 0;
        mine = 0; out = 0; turn = 0                      /* a hook's own view ends with it */
    };
    goto end
}

/* Juju has no compare-and-swap, so leadership must not leave and come back while a hook counts on
 * having it. With ABA it does, except on Juju 3 between the read and the write of the ledger. */
#ifndef ABA
#define MAY_LEAD(unit) (!leads[unit] && !dirty[unit])
#else
#define MAY_LEAD(unit) (!writes[unit] || JUJU == 4)
#endif
#ifdef SILENT             /* no leader-elected where it comes back before the hook ends in which it left (R17) */
#define ELECTED(unit) !led[unit]
#else
#define ELECTED(unit) 1
#endif
#define ELECT(unit) \
    atomic { FREE && FAULTY && leader != unit && MAY_LEAD(unit) -> \
             FAULT; leader = unit; due[unit] = (due[unit] || ELECTED(unit)); printf("leadership moves to %d\n", unit) }

init
{
    atomic {
        run unit(0); run unit(1);
#if N > 2
        run unit(2)
#endif
    };
    do
    :: ELECT(0)
    :: ELECT(1)
#if N > 2
    :: ELECT(2)
#endif
    :: calm = 1; printf("calm weather from here on\n"); break
    od;
    /* Everything that was owed has run. A unit that still waits now would wait for ever. */
    atomic {
        timeout ->
        for (who : 0 .. N - 1) {
            if
            :: !SERVED(who) -> printf("%d is not served: asked %d, done %d\n", who, store[who].asked, store[who].done)
            :: else
            fi;
            assert(SERVED(who))
        }
        who = 0
    }
}

#ifdef LIVE
#if N > 2
#define ALL_SERVED (SERVED(0) && SERVED(1) && SERVED(2))
#else
#define ALL_SERVED (SERVED(0) && SERVED(1))
#endif
ltl served { [] (calm -> <> ALL_SERVED) }
#endif
