/* The request queue: many client processes ask one server, without a socket.
 *
 * A client takes a slot, puts its request there, and sleeps on the slot until the reply stands in
 * it. Requests are served in the order of the slots, round after round, so none waits for more than
 * one turn of the others. Each side spins for some microseconds before it sleeps on a futex.
 *
 * Crash behaviour. A client killed before its request was submitted has asked nothing; afterwards
 * it is served and nobody reads the reply. When the server dies, its waiting clients are told so
 * (-EOWNERDEAD); a successor serves what was submitted but not begun, and answers -ECONNRESET to
 * what the dead server had begun: whether that was done, only the caller can find out.
 */
#ifndef FAB_REQUEST_H
#define FAB_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include "fab_inline.h"
#include "fab_layout.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fab_request_queue fab_request_queue;

/* Server. Makes the queue at `path` or takes it over from a dead server. slots: a power of two from
 * 2 to FAB_REQUEST_SLOTS; request_bytes and reply_bytes: the longest, from 1 to 65536.
 * -EINVAL, -EBUSY, -EPROTO, -EEXIST as fab_index_create. */
FAB_API int fab_request_create(const char *path, uint64_t slots, size_t request_bytes,
                               size_t reply_bytes, fab_request_queue **out);
/* Client. Its handle may be used by several threads. -ENOENT, -EPROTO, -EINVAL, -ENODATA. */
FAB_API int fab_request_open(const char *path, fab_request_queue **out);
FAB_API void fab_request_close(fab_request_queue *queue);
FAB_API size_t fab_request_bytes(const fab_request_queue *queue); /* longest request */
FAB_API size_t fab_reply_bytes(const fab_request_queue *queue);

/* Client. Asks and waits for the reply; its length, at most `max` of it copied to `reply`. The
 * server's own -errno if it answered with one; -EMSGSIZE the request is too long; -ETIMEDOUT no
 * reply (nor a free slot) in timeout_ns, and the request will not be begun any more (if it had
 * been, its reply goes nowhere); -EOWNERDEAD no live server; -ECONNRESET it died while serving
 * this. */
FAB_API int64_t fab_request_call(fab_request_queue *queue, const void *request, size_t bytes,
                                 void *reply, size_t max, uint64_t timeout_ns);

/* Server. 1 as soon as something may have been submitted, 0 after timeout_ns. */
FAB_API int fab_request_wait(fab_request_queue *queue, uint64_t timeout_ns);
/* Server. Takes the next request: its length, copied to `request` (request_bytes long); *ticket
 * names it for the reply, *pid its client. -EAGAIN: there is none. */
FAB_API int64_t fab_request_take(fab_request_queue *queue, void *request, uint64_t *ticket,
                                 uint64_t *pid);
/* Server. Answers with `bytes` of reply, or with -errno when bytes < 0 (reply may be NULL).
 * -EMSGSIZE too long; -EINVAL no such ticket is being served; -EPIPE the client has left. */
FAB_API int fab_request_reply(fab_request_queue *queue, uint64_t ticket, const void *reply,
                              int64_t bytes);

#ifdef __cplusplus
}
#endif
#endif
