/* The request queue: two clients, one slot, a server; any of them killed at any step, the server
 * succeeded.
 *
 * Mirrors csrc/observe/request_client.c (find_slot, get_slot, submit, give_up, wait_done,
 * fab_request_call), csrc/observe/request_server.c (fab_request_wait, next_slot, sweep,
 * fab_request_take, fab_request_reply) and csrc/observe/request.c (answer_begun).
 *
 * Abstraction. Each client asks once, and its request and the reply to it are two words that name
 * it. A process is named by a
 * number that is never used again. Spinning before a sleep is left out. A sleep ends when it is
 * woken or its word differs; the bounds on it (PATIENCE_NS, SWEEP_NS) end it only when somebody was
 * killed, which is what they are for: without a death, every wake-up must come by itself. A client
 * may give up at any look instead. A client that finds no slot goes on when there is one to be had.
 * Spin's memory is sequentially consistent, so each full fence is modelled by its absence: in a
 * mutation the load behind it is done before the store in front of it, as any machine would. The
 * client's fence between `waiting` and `state` has no mutation: FUTEX_WAIT compares `state` again,
 * so to do the two the other way is no error.
 *
 * Proven: a request is taken at most once and read as it was submitted; a reply that a client is
 * given is the one to its own request; nobody sleeps for ever; a slot comes back whoever is killed,
 * and one client that lives gets its reply in the end.
 */
#ifndef DEATHS
#define DEATHS 1
#endif
#define CLIENTS 2
#define SERVER 3 /* the first one's name; its successor's is 4 */
#define NOBODY 0

mtype = { IDLE, SUBMITTED, SERVING, DONE, LEFT };
byte client;
mtype state = IDLE;
byte use;
bool waiting, sleeping, submitted;
byte asked1, asked2, answer1, answer2;
bool reset; /* status: -ECONNRESET */

bool alive[5] = { false, true, true, true, false }; /* by name */
byte server = SERVER;

/* What no process of the real queue can see. */
bool taken[CLIENTS + 1]; /* begun by a server */
bool killed[5];
bool idle[5]; /* cannot be killed: has ended, or is being replaced */
bool woken_client[CLIENTS + 1], woken_server;
bool asleep_client[CLIENTS + 1], asleep_server;
byte deaths;

#ifdef MUTATE_NO_SWEEP
#define SWEEPS false
#else
#define SWEEPS (deaths > 0) /* a look at every slot, bit or no bit */
#endif
#define FREE (client == NOBODY)
#define ABANDONED (client != NOBODY && !alive[client] && (state == IDLE || state == DONE))

inline wake_client() {
    d_step {
        if
        :: asleep_client[1] -> woken_client[1] = true
        :: asleep_client[2] -> woken_client[2] = true
        :: else
        fi
    }
}

/* ---- client -------------------------------------------------------------------------------- */

inline hold(expected) {
    atomic { /* cas */
        if
        :: client == expected -> client = me; held = true
        :: else
        fi
    }
}

inline find_slot() {
    atomic {
        if
        :: client == NOBODY -> seen = 1
        :: else
        fi
    };
    if
    :: seen == 1 -> hold(NOBODY)
    :: else
    fi;
    seen = 0;
    if
    :: held
    :: else ->
        seen = client;
        if
        :: seen == NOBODY
        :: else ->
#ifdef MUTATE_STATE_BEFORE_DEATH
            was = state;
            dead = !alive[seen];
#else
            dead = !alive[seen];
            was = state;
#endif
            if
            :: dead && (was == IDLE || was == DONE) -> hold(seen)
            :: else
            fi
        fi
    fi;
    atomic { seen = 0; was = IDLE; dead = false }
}

inline submit() {
    asked1 = me;
    atomic { asked2 = me; waiting = false };
    atomic { use++; mine = use; state = SUBMITTED };
#ifdef MUTATE_NO_FENCE_AFTER_THE_BIT
    asleep = sleeping;
    submitted = true;
#else
    submitted = true;
    asleep = sleeping;
#endif
    if
    :: asleep ->
        sleeping = false;
        atomic {
            asleep = false;
            if
            :: asleep_server -> woken_server = true
            :: else
            fi
        }
    :: else
    fi
}

inline give_up() {
    atomic { /* cas */
        if
        :: state == SUBMITTED && use == mine -> state = IDLE; use++; gone = true; was = SUBMITTED
        :: else -> was = state
        fi
    };
    if
    :: gone -> client = NOBODY
    :: !gone && was == SERVING ->
        atomic { /* cas */
            if
            :: state == SERVING && use == mine -> state = LEFT; gone = true
            :: else
            fi
        }
    :: else
    fi;
    was = IDLE
}

proctype Client(byte me) {
    byte seen, mine;
    mtype was = IDLE;
    bool held, dead, asleep, gone;
    {
        do /* get_slot */
        :: FREE || ABANDONED ->
            find_slot();
            if
            :: held -> break
            :: else
            fi
        :: !alive[server] -> goto leave /* -EOWNERDEAD */
        od;
        submit();
        do /* wait_done */
        :: true ->
            waiting = true;
            was = state;
            if
            :: was == DONE -> break
            :: was != DONE -> was = IDLE; give_up(); break /* deadline or dead server */
            :: was != DONE ->
                atomic { /* FUTEX_WAIT compares and sleeps at once */
                    if
                    :: state == was && use == mine -> asleep_client[me] = true
                    :: else
                    fi;
                    was = IDLE
                };
                atomic {
                    !asleep_client[me] || woken_client[me] || deaths > 0 ->
                    asleep_client[me] = false; woken_client[me] = false
                }
            fi
        od;
        if
        :: gone
        :: else -> /* the reply is there */
            assert(state == DONE && client == me);
            assert(reset || (answer1 == me && answer2 == me));
            atomic { state = IDLE; use++ };
            client = NOBODY
        fi;
leave:
        atomic { was = IDLE; held = false; mine = 0; gone = false; idle[me] = true }
    } unless {
        atomic {
            killed[me] ->
            asleep_client[me] = false; woken_client[me] = false;
            seen = 0; mine = 0; was = IDLE;
            held = false; dead = false; asleep = false; gone = false
        }
    }
}

/* ---- server -------------------------------------------------------------------------------- */

/* LEFT -> IDLE. The client's word names the server meanwhile: were that killed between the last two
 * stores, the slot would stay a living client's that knows nothing of it. */
inline give_back() {
#ifndef MUTATE_GIVEN_BACK_UNDER_THE_CLIENT
    client = server;
#endif
    atomic { state = IDLE; use++ };
    client = NOBODY
}

inline answer_begun() {
    was = state;
    if
    :: was == SERVING ->
        reset = true;
        atomic { /* cas */
            if
            :: state == SERVING -> state = DONE
            :: else -> was = state
            fi
        };
        if
        :: was == SERVING -> wake_client()
        :: else
        fi
    :: else
    fi;
    if
    :: was == LEFT -> give_back()
    :: else
    fi;
    was = IDLE
}

inline reply() {
    was = state;
    if
    :: was == SERVING && use == serving ->
        answer1 = id;
        atomic { answer2 = id; reset = false };
#ifdef MUTATE_NO_FENCE_BEFORE_WAITING
        asleep = waiting;
#endif
        atomic { /* cas */
            if
            :: state == SERVING && use == serving -> state = DONE
            :: else -> was = state
            fi
        };
        if
        :: was == SERVING ->
#ifndef MUTATE_NO_FENCE_BEFORE_WAITING
            asleep = waiting;
#endif
            if
            :: asleep -> wake_client(); asleep = false
            :: else
            fi
        :: else
        fi
    :: else
    fi;
    if
    :: was == LEFT && use == serving -> give_back()
    :: else
    fi;
    was = IDLE
}

inline take() {
    atomic {
        found = found || submitted; /* exchange */
        submitted = false
    };
    if
    :: found -> found = false
    :: !found && SWEEPS -> skip
    :: else -> goto nothing
    fi;
    atomic {
        was = state;
        serving = use
    };
    if
    :: was == SUBMITTED ->
        atomic { /* cas */
            if
            :: state == SUBMITTED && use == serving -> state = SERVING
            :: else -> was = IDLE
            fi
        }
    :: else
    fi;
    if
    :: was == SUBMITTED -> was = IDLE
    :: else -> was = IDLE; goto nothing
    fi
}

active proctype Server() {
    byte id, serving;
    mtype was = IDLE;
    bool found, asleep;
    atomic { run Client(1); run Client(2) };
again:
    {
        if
#ifndef MUTATE_BEGUN_UNANSWERED
        :: server != SERVER -> answer_begun()
#endif
        :: else
        fi;
        do
        :: true ->
            /* fab_request_wait */
#ifdef MUTATE_NO_FENCE_AFTER_SLEEPING
            asleep = found || submitted;
            sleeping = true;
#else
            sleeping = true;
            asleep = found || submitted;
#endif
            if
            :: asleep
            :: else ->
                atomic {
                    if
                    :: sleeping -> asleep_server = true
                    :: else
                    fi
                };
end:
                atomic {
                    !asleep_server || woken_server || (SWEEPS && state == SUBMITTED) ->
                    asleep_server = false; woken_server = false
                }
            fi;
            asleep = false;
            sleeping = false;
            take();
            id = asked1;
            assert(id == asked2);
            atomic { assert(!taken[id]); taken[id] = true };
            reply();
            atomic { id = 0; serving = 0 };
nothing:
            serving = 0
        od
    } unless {
        atomic {
            killed[server] ->
            asleep_server = false; woken_server = false;
            id = 0; serving = 0; was = IDLE; found = false; asleep = false;
            alive[SERVER + 1] = true;
            server = SERVER + 1;
            goto again
        }
    }
}

/* ---- */

inline kill(name) {
    atomic { deaths < DEATHS && alive[name] && !idle[name] -> deaths++; alive[name] = false; killed[name] = true }
}

active proctype Killer() {
end:
    do
    :: kill(1) /* the two clients are alike */
    :: kill(SERVER)
    :: break /* and nobody is killed any more: who sleeps now is woken or sleeps for ever */
    od
}
