/* The followed ring with many writers: two of them, one reader, and newcomers in the places of
 * those that were killed.
 *
 * Mirrors csrc/observe/writers.c (free_slots_of, ring_join, ring_claimed, take_indices, own_slot,
 * fab_ring_publish_many) and csrc/observe/ring.c (settle_many, skip_lost); has_waited says yes at
 * any moment here, and where it says no the reader has only looked again.
 *
 * Abstraction. CAP 2, so the lag is 1 and a claim covers one index. A slot's seq is one number, as
 * in the C: index + 1 in the low bits, the owner's place + 1 above them. A writer lives from its
 * mark in the table until it is killed, which may happen before any step and leaves its claim and
 * its slots as they are. Time is abstracted: a reader may find at any look that the owner has had
 * its time or that it has not. Spin's memory is sequentially consistent; the order of claim, index,
 * slot and words is what the releases and the compare-and-swaps of the C give, and the mutations
 * change that order. Of the record's words there are two; that the loads of a copy keep their
 * order is follow.pml's to show.
 *
 * Two places and one death are the least that shows each of them; only the first writer is killed,
 * for the two are alike. A claim of a newcomer that never publishes is part of it: after a death the
 * first writer may stay and do nothing.
 *
 * Proven: no two live writers own one slot; no record is returned torn; a record is lost only if it
 * was dropped, its writer died or a lap of indices was taken behind it; what was returned and lost
 * adds up; when all writers have ended or died the reader gets to the last index taken.
 */
#ifndef RECORDS
#define RECORDS 3
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#define CAP 2
#define WRITERS 2
#define SLOT(index) ((index) % CAP)
#define INDEX(seq) ((seq) & 15)
#define OWNED(seq) ((seq) >> 4)
#define OWNER(seq) (((seq) >> 4) - 1)
#define MARK(place, index) ((((place) + 1) << 4) | ((index) + 1))

byte seq[CAP], word1[CAP], word2[CAP];
byte published;
byte claim[WRITERS]; /* index + 1, 0 = none */
bool alive[WRITERS]; /* whether the table names a process that lives */

/* What no process of the real ring can see. */
mtype = { PENDING, WRITTEN, DROPPED, DEAD };
mtype fate[RECORDS];
byte mine[WRITERS];  /* the index that the writer has in hand, NONE without */
bool owned[WRITERS]; /* and it owns the slot */
byte owners[CAP];    /* live writers that own the slot */
bool killed[WRITERS];
bool ended[WRITERS];
byte deaths;

#define NONE 255

/* Each atomic has one access to shared memory and what the writer does with it by itself. */
inline free_slots() {
#ifndef MUTATE_NO_FREEING
    do
    :: atomic {
        i < CAP -> seen = seq[i];
        if
        :: OWNED(seen) && OWNER(seen) == me -> skip
        :: else -> seen = 0; i++
        fi
    };
        if
        :: seen ->
            atomic { /* cas */
                if
                :: seq[i] == seen -> seq[i] = 0
                :: else
                fi;
                seen = 0; i++
            }
        :: else
        fi
    :: i == CAP -> break
    od;
    i = 0
#else
    skip
#endif
}

/* A newcomer, in the place of one that was killed. */
inline join() {
    free_slots();
#ifndef MUTATE_CLAIM_INHERITED
    claim[me] = 0;
#endif
    alive[me] = true
}

/* mine = published, under a claim; NONE when this model has had enough. */
inline take_index() {
    first = published;
    do
    :: first == RECORDS -> break
    :: first < RECORDS ->
#ifndef MUTATE_CLAIM_AFTER_TAKING
        claim[me] = first + 1;
#endif
        atomic { /* cas */
            if
            :: published == first ->
                published = first + 1;
                fate[first] = PENDING;
                mine[me] = first;
                first = 0;
                break
            :: else -> first = published
            fi
        }
    od
#ifdef MUTATE_CLAIM_AFTER_TAKING
    ;
    if
    :: mine[me] != NONE -> claim[me] = mine[me] + 1
    :: else
    fi
#endif
}

inline own_slot() {
#ifdef MUTATE_CLAIM_CLEARED_BEFORE_OWNING
    claim[me] = 0;
#endif
    seen = seq[SLOT(mine[me])];
    do
    :: atomic {
        true ->
        if
#ifndef MUTATE_NO_LOOK_AT_THE_LAP
        :: INDEX(seen) > mine[me] + 1 -> break
#endif
#ifndef MUTATE_LIVE_OWNER_IGNORED
        :: INDEX(seen) <= mine[me] + 1 && OWNED(seen) && alive[OWNER(seen)] -> break
#endif
        :: else
        fi
    };
        atomic { /* cas */
            if
            :: seq[SLOT(mine[me])] == seen ->
                seq[SLOT(mine[me])] = MARK(me, mine[me]);
                owned[me] = true;
                owners[SLOT(mine[me])]++;
                break
            :: else -> seen = seq[SLOT(mine[me])]
            fi
        }
    od;
    atomic {
        seen = 0;
        if
        :: owned[me]
        :: else -> fate[mine[me]] = DROPPED
        fi
    }
}

inline write_slot() {
    assert(owners[SLOT(mine[me])] == 1);
    word1[SLOT(mine[me])] = mine[me] + 1;
    word2[SLOT(mine[me])] = mine[me] + 1;
    assert(owners[SLOT(mine[me])] == 1);
    d_step {
        seq[SLOT(mine[me])] = mine[me] + 1;
        fate[mine[me]] = WRITTEN;
        owners[SLOT(mine[me])]--;
        owned[me] = false
    }
}

proctype Writer(byte me) {
    byte first, seen, i;
again:
    {
        if
        :: alive[me] /* the first two have joined */
        :: else -> join()
        fi;
        if
        :: deaths > 0 && me == 0 -> goto idle /* and never publishes */
        :: skip
        fi;
        do
        :: take_index();
            if
            :: mine[me] == NONE -> break
            :: else
            fi;
            own_slot();
            if
            :: owned[me] -> write_slot()
            :: else
            fi;
            mine[me] = NONE;
            if
            :: claim[me] = 0 /* the call ends */
            :: skip          /* its next batch claims */
            fi
        od;
        claim[me] = 0;
idle:
        atomic {
            first = 0;
            ended[me] = true;
            if
            :: alive[me] = false /* it leaves */
            :: skip              /* or stays and does nothing more */
            fi
        }
    } unless {
        atomic {
            killed[me] -> killed[me] = false;
            first = 0; mine[me] = NONE; seen = 0; i = 0; owned[me] = false;
            if
            :: goto again /* another process takes the place */
            :: ended[me] = true
            fi
        }
    }
}

/* Kills the first writer (the two are alike): what it has in hand is dead in the same step. */
active proctype Killer() {
    atomic {
        mine[0] = NONE; mine[1] = NONE; alive[0] = true; alive[1] = true;
        run Writer(0); run Writer(1); run Reader()
    }
end:
    do
    :: atomic {
        deaths < DEATHS && !ended[0] && !killed[0] && alive[0] ->
        d_step {
            deaths++;
            killed[0] = true;
            alive[0] = false;
            if
            :: mine[0] != NONE && fate[mine[0]] == PENDING -> fate[mine[0]] = DEAD
            :: else
            fi;
            if
            :: owned[0] -> owners[SLOT(mine[0])]--
            :: else
            fi
        }
    }
    od
}

/* Asserts that the records from position to next - 1 may be lost. */
inline skip_lost() {
    d_step {
        next = (published > CAP -> published - CAP : 0);
        if
        :: next > tip -> next = tip
        :: else
        fi;
        if
        :: next <= position -> next = position + 1
        :: else
        fi;
        do
        :: position < next ->
            assert(fate[position] == DROPPED || fate[position] == DEAD ||
                   position + CAP < published);
            position++ /* and lost */
        :: else -> break
        od;
        next = 0
    }
}

/* Each atomic has one load of shared memory and what the reader does with it by itself. */
proctype Reader() {
    byte position, tip, seen, w, next;
    bool fresh, last, r1, r2; /* r1, r2: whether the word is the record's */
call:
    last = ended[0] && ended[1];
    do
    :: atomic {
        true -> seen = seq[SLOT(position)];
        if
        :: seen == position + 1 -> skip
        :: else -> goto settle
        fi
    };
        atomic { r1 = (word1[SLOT(position)] == position + 1) };
        atomic { r2 = (word2[SLOT(position)] == position + 1) };
        atomic {
            if
            :: seq[SLOT(position)] == seen ->
                assert(r1 && r2);
                position++;
                r1 = false; r2 = false; seen = 0;
                goto look
            :: else -> r1 = false; r2 = false
            fi
        };
settle: /* settle_many */
        atomic {
            seen = 0;
            if
            :: position < tip
            :: position >= tip && fresh -> break
            :: position >= tip && !fresh ->
                fresh = true;
                tip = published;
                if
                :: position >= tip -> break
                :: else
                fi
            fi
        };
        atomic {
            seen = seq[SLOT(position)];
            if
            :: seen == position + 1 -> seen = 0; goto look
            :: OWNED(seen) && INDEX(seen) == position + 1 && !last -> seen = 0; break /* has time */
            :: OWNED(seen) && INDEX(seen) == position + 1 -> goto owner
            :: seen != position + 1 && INDEX(seen) < position + 1 -> goto claims
            :: INDEX(seen) > position + 1 -> goto skip_it
            fi
        };
owner: /* ring_owner_alive, after has_waited */
        atomic {
            if
            :: alive[OWNER(seen)] -> seen = 0; break
#ifdef MUTATE_NO_LOOK_AFTER_THE_OWNER
            :: else -> goto skip_it
#else
            :: else -> goto second_look
#endif
            fi
        };
claims: /* ring_claimed of the living, after has_waited */
        do
        :: atomic {
            w < WRITERS ->
            if
            :: claim[w] == position + 1 -> skip
            :: else -> w++; goto next_claim
            fi
        };
            atomic {
                if
                :: alive[w] -> w = 0; seen = 0; goto nothing
                :: else -> w++
                fi
            };
next_claim:
            skip
        :: atomic { w == WRITERS -> w = 0; break }
        od;
#ifdef MUTATE_NO_LOOK_AFTER_THE_CLAIMS
        goto skip_it;
#endif
second_look:
        atomic {
            if
            :: seq[SLOT(position)] != seen -> seen = 0; goto look
            :: else
            fi
        };
skip_it:
        atomic { seen = 0; skip_lost() };
look:
        skip
    od;
nothing:
    atomic {
        fresh = false;
        if
        :: last -> assert(position == published)
        :: else -> goto call
        fi
    }
}
