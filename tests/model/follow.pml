/* The followed ring with one writer, its reader, and writers that are killed and succeeded.
 *
 * Mirrors csrc/include/fab_ring.h (fab_ring_publish, fab_reader_read for one record at a time,
 * fab_slot_copy, fab_reader_look), csrc/observe/ring.c (fab_ring_published, fab_reader_open,
 * skip_lost, settle_one) and
 * csrc/observe/ring_open.c (enter, for the successor).
 *
 * Abstraction. A record is its seq and two words that both name it; RECORDS of them are written,
 * in calls of every length. LAG may be as much as CAP here (run.sh tries that too); the C, with half
 * of it, is on the safe side. Each load and store of shared memory is one step and may be followed
 * by a step of the other process; the writer may be killed before any step. Spin's memory is
 * sequentially consistent, so the order that release and acquire give is modelled: the stores of
 * one record (the loads of one copy) are done in every order in which each waits for those that
 * its memory order puts before it. That is what a machine with one view of memory (x86, ARMv8,
 * RISC-V) may do; a mutation takes one of these waits away.
 *
 * Proven: no record is returned torn; the reader goes strictly up and what it returned and lost
 * adds up to its position; it loses only what the writer has begun to overwrite; it reads to the end
 * once the writers have ended; a successor goes on exactly where the seqs stop.
 */
#ifndef CAP
#define CAP 2
#endif
#ifndef RECORDS
#define RECORDS 6
#endif
#ifndef DEATHS
#define DEATHS 2
#endif
#ifdef MUTATE_LAG_OF_MORE_THAN_A_LAP
#undef LAG
#define LAG (CAP + 1)
#endif
#ifndef LAG
#define LAG (CAP / 2)
#endif

#define SLOT(index) ((index) % CAP)

byte seq[CAP], word1[CAP], word2[CAP];
byte published;

/* What no process of the real ring can see. */
byte begun;    /* records whose slot the writer has begun to overwrite */
byte complete; /* records whose seq stands */
bool ended;    /* the writer has published all */
bool killed;
byte deaths;

/* fab_ring_published: the counter, and the complete records behind it. */
inline count_published(into) {
    counted = published;
    into = counted;
    do
    :: into - counted < LAG && seq[SLOT(into)] == into + 1 -> into++
    :: else -> break
    od;
    counted = published;
    if
    :: counted > into -> into = counted
    :: else
    fi;
    counted = 0
}

inline publish() {
    begun = index + 1;
    do
#ifdef MUTATE_NO_ZERO
    :: !zeroed -> zeroed = true
#else
    :: !zeroed -> d_step { seq[SLOT(index)] = 0; zeroed = true }
#endif
#ifdef MUTATE_WORDS_RELAXED
    :: !one -> d_step { word1[SLOT(index)] = index + 1; one = true }
    :: !two -> d_step { word2[SLOT(index)] = index + 1; two = true }
#else
    :: zeroed && !one -> d_step { word1[SLOT(index)] = index + 1; one = true }
    :: one && !two -> d_step { word2[SLOT(index)] = index + 1; two = true }
#endif
#ifdef MUTATE_SEQ_RELAXED
    :: zeroed && !whole -> d_step { seq[SLOT(index)] = index + 1; whole = true; complete = index + 1 }
#else
    :: zeroed && one && two && !whole ->
        d_step { seq[SLOT(index)] = index + 1; whole = true; complete = index + 1 }
#endif
    :: zeroed && one && two && whole -> break
    od;
    skip; /* no d_step may be jumped into */
    d_step { zeroed = false; one = false; two = false; whole = false; index++ }
}

active proctype Writer() {
    byte index, batch, counted;
    bool zeroed, one, two, whole;
again:
    {
#ifdef MUTATE_RECOVER_BY_COUNTER
        index = published;
#else
        count_published(index);
#endif
        assert(index == complete);
        published = index;
        batch = 0;
        do
        :: index < RECORDS ->
            publish();
            batch++;
            if
            :: batch < LAG && index < RECORDS /* the call goes on */
            :: published = index; batch = 0   /* it ends, or LAG records are done */
            fi
        :: else -> break
        od;
        ended = true
    } unless {
        atomic {
            killed -> killed = false;
            zeroed = false; one = false; two = false; whole = false; counted = 0;
            goto again
        }
    }
}

active proctype Killer() {
end:
    do
    :: atomic { deaths < DEATHS && !ended && !killed -> killed = true; deaths++ }
    od
}

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
        assert(next - 1 + CAP < begun);
        lost = lost + (next - position);
        position = next;
        next = 0
    }
}

active proctype Reader() {
    byte start, counted, position, returned, lost, tip, seen, again, r1, r2, next;
    bool fresh, last, more, l1, l2, l3;
    count_published(position);
    if
    :: position = (position > CAP -> position - CAP : 0); lost = position /* FAB_FROM_OLDEST */
    :: start = position                                                  /* FAB_FROM_NOW */
    fi;
call:
    last = ended; /* this call begins when the writer has ended */
    fresh = false;
    do
    :: seen = seq[SLOT(position)];
        more = true;
        if
        :: seen == position + 1 ->
            do
            :: !l1 -> d_step { r1 = word1[SLOT(position)]; l1 = true }
#ifdef MUTATE_LOADS_RELAXED
            :: !l2 -> d_step { r2 = word2[SLOT(position)]; l2 = true }
            :: !l3 -> d_step { again = seq[SLOT(position)]; l3 = true }
#else
            :: l1 && !l2 -> d_step { r2 = word2[SLOT(position)]; l2 = true }
            :: l2 && !l3 -> d_step { again = seq[SLOT(position)]; l3 = true }
#endif
            :: l1 && l2 && l3 -> break
            od;
#ifdef MUTATE_NO_SECOND_LOOK
            again = seen;
#endif
            if
            :: again == seen ->
                d_step {
                    assert(r1 == position + 1 && r2 == position + 1);
                    returned++;
                    position++;
                    more = false;
                    seen = 0; again = 0; r1 = 0; r2 = 0;
                    l1 = false; l2 = false; l3 = false
                };
                if
                :: goto call /* max records are read */
                :: skip
                fi
            :: else -> d_step { again = 0; r1 = 0; r2 = 0; l1 = false; l2 = false; l3 = false }
            fi
        :: else
        fi;
        if
        :: !more
        :: else -> /* settle_one */
            if
            :: position >= tip && seen != 0 && seen < position + 1 -> break
            :: position >= tip && (seen == 0 || seen >= position + 1) ->
                if
                :: fresh -> break
                :: else -> fresh = true; tip = published
                fi;
                if
                :: position >= tip -> break
                :: else
                fi
            :: position < tip -> skip_lost()
            fi
        fi
    od;
    assert(returned + lost + start == position);
    if
    :: last -> assert(position == RECORDS)
    :: else -> goto call
    fi
}
