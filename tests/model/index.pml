/* The index ring: one producer, one consumer, each with its private copy of the other's index,
 * each killed at any step and succeeded.
 *
 * Mirrors csrc/include/fab_index.h (fab_index_ready, fab_index_run, fab_index_advance, and push and
 * pop, which are a run and an advance) and csrc/observe/index.c (enter, for the successor).
 *
 * Abstraction. An element is two words: its index + 1 and which producer wrote it. Runs have every
 * length from 1 to CAP (a run that wraps around is two of the real ones). Spin's memory is
 * sequentially consistent; what release and acquire forbid is modelled by mutations in which a
 * store is done before those that the release puts before it, a load before the acquire. The
 * private copies are each side's own, so no step is spent on them: a successor reads them anew.
 *
 * Proven: the consumer sees the indices in order without a gap, again only those that a dead
 * consumer had not released; each element as it was published; never more than CAP between the two
 * indices; all that was published is consumed.
 */
#ifndef CAP
#define CAP 2
#endif
#ifndef ELEMENTS
#define ELEMENTS 5
#endif
#ifndef DEATHS
#define DEATHS 2
#endif
#ifdef MUTATE_ONE_TOO_MANY
#define LAP (CAP + 1)
#else
#define LAP CAP
#endif
#define SLOT(index) ((index) % CAP)

byte number[CAP], author[CAP];
byte published, released;

/* What no process of the real ring can see. */
byte author_of[ELEMENTS]; /* of each published element */
byte consumed;            /* elements that some consumer has read whole */
byte life;                /* producers so far */
bool killed[2];
bool gone[2]; /* has ended by itself */
byte deaths;

inline store_elements() {
    i = 0;
    do
    :: i < n ->
        number[SLOT(own + i)] = own + i + 1;
        author[SLOT(own + i)] = life;
        i++
    :: else -> break
    od
}

inline store_published() {
    d_step {
        i = 0;
        do
        :: i < n -> author_of[own + i] = life; i++
        :: else -> break
        od;
        i = 0;
        published = own + n
    };
    assert(published - released <= CAP)
}

active proctype Producer() {
    byte own, other, n, i;
again:
    {
        life++;
        own = published;
        other = released;
#ifdef MUTATE_RESUME_FROM_THE_OTHER
        own = released;
#endif
        do
        :: own < ELEMENTS ->
            if
            :: other + LAP - own < 1 -> other = released /* full by the copy */
            :: else ->
                select(n : 1 .. CAP);
                if
                :: n > other + LAP - own -> n = other + LAP - own
                :: else
                fi;
                if
                :: n > ELEMENTS - own -> n = ELEMENTS - own
                :: else
                fi;
#ifdef MUTATE_PUBLISH_RELAXED
                store_published();
                store_elements();
#else
                store_elements();
                store_published();
#endif
                own = own + n
            fi
        :: else -> break
        od;
        gone[0] = true
    } unless {
        atomic { killed[0] -> killed[0] = false; n = 0; i = 0; goto again }
    }
}

inline load_elements() {
    i = 0;
    do
    :: i < n ->
        r1[i] = number[SLOT(own + i)];
        r2[i] = author[SLOT(own + i)];
        i++
    :: else -> break
    od
}

/* A consumer uses what it has read: here each element is right, and the next. */
inline use_elements() {
    d_step {
        i = 0;
        do
        :: i < n ->
            assert(r1[i] == own + i + 1);
            assert(r2[i] == author_of[own + i]);
            i++
        :: else -> break
        od;
        i = 0;
        assert(own <= consumed && (own == consumed || deaths > 0));
        consumed = (own + n > consumed -> own + n : consumed)
    }
}

active proctype Consumer() {
    byte own, other, n, i, r1[CAP], r2[CAP];
again:
    {
        own = released;
        other = published;
        do
        :: own < ELEMENTS ->
#ifdef MUTATE_CONSUMER_LOADS_RELAXED
            n = CAP;
            load_elements();
#endif
            if
            :: other == own -> other = published /* empty by the copy */
            :: else
            fi;
            select(n : 1 .. CAP);
            if
            :: n > other - own -> n = other - own
            :: else
            fi;
#ifdef MUTATE_RELEASE_BEFORE_READING
            released = own + n;
            load_elements();
            use_elements();
#else
#ifndef MUTATE_CONSUMER_LOADS_RELAXED
            load_elements();
#endif
            use_elements();
            released = own + n;
#endif
            assert(released <= published);
            own = own + n
        :: else -> break
        od;
        assert(consumed == ELEMENTS);
        gone[1] = true
    } unless {
        atomic { killed[1] -> killed[1] = false; n = 0; i = 0; goto again }
    }
}

active proctype Killer() {
end:
    do
    :: atomic { deaths < DEATHS && !gone[0] && !killed[0] -> killed[0] = true; deaths++ }
    :: atomic { deaths < DEATHS && !gone[1] && !killed[1] -> killed[1] = true; deaths++ }
    od
}
