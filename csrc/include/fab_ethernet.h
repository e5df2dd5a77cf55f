/* The emulated switches over TCP, as the vendor's tool reaches real ones. Part of fabcore.h, whose
 * caveats hold. */
#ifndef FAB_ETHERNET_H
#define FAB_ETHERNET_H

#include <stddef.h>
#include <stdint.h>

#include "fab_node.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The vendor's management protocol over TCP: switch k of the node on `address` + k (numeric IPv4),
 * port FAB_ETHERNET_PORT by that protocol, 0 = any free one. One thread serves all clients until
 * close, which comes before fab_node_close (a forked child's close leaves the parent's be). The
 * protocol has neither authentication nor encryption: who can connect programs the switches. While
 * a switch is gone its connections are closed and new ones rejected. -EINVAL: no numeric IPv4
 * address; -EPERM: not a loopback address, and FAB_ETHERNET_ANYWHERE is not set; -ERANGE: address +
 * k leaves the network; else what the system says of switch *failed's address (-EADDRINUSE,
 * -EADDRNOTAVAIL). Nothing listens unless 0. */
#define FAB_ETHERNET_PORT 54545
enum { FAB_ETHERNET_ANYWHERE = 1 };
struct fab_ethernet_counters {
    uint64_t connections; /* taken so far */
    uint64_t open;        /* now */
    uint64_t refused;     /* opens rejected, connections without room */
    uint64_t malformed;   /* closed because of what they sent */
    uint64_t commands;    /* requests served */
    uint64_t events;      /* pushed to event channels */
};
typedef struct fab_ethernet fab_ethernet;
FAB_API int fab_ethernet_open(fab_node *node, const char *address, uint16_t port, unsigned flags,
                              fab_ethernet **out, size_t *failed);
FAB_API void fab_ethernet_close(fab_ethernet *e);
FAB_API int fab_ethernet_port(const fab_ethernet *e, size_t sw); /* -ENOENT: no such switch */
/* From any thread. */
FAB_API void fab_ethernet_counters(const fab_ethernet *e, struct fab_ethernet_counters *out);

#ifdef __cplusplus
}
#endif
#endif
