/* The core inside a C program: an emulated node of one switch, a function bound to a host through
 * the switch's registers, a second of traffic, and its telemetry through a followed ring.
 *
 *   cc embed.c $(python -m fabcore --cflags --libs) -o embed && ./embed /dev/shm/embed.ring
 */
#include <fabcore.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MODULE_PORT = 0, HOST_PORT = 16, FUNCTION = 1, STEPS = 10 };

/* Every call returns a count or -errno; an embedder decides what a failure means. */
static int64_t must(int64_t rc, const char *what) {
    if (rc < 0) {
        fprintf(stderr, "embed: %s: %s\n", what, strerror((int)-rc));
        exit(1);
    }
    return rc;
}

/* One PAX Gen5 switch with an accelerator and a host, both x16. */
static fab_node *make_node(void) {
    struct fab_node_config config = {.switches = 1, .ports = 2, .mps = 256, .mrrs = 512};
    struct fab_node_port ports[2] = {{.port = MODULE_PORT, .kind = FAB_PORT_MODULE},
                                     {.port = HOST_PORT, .kind = FAB_PORT_HOST}};
    fab_node *node = NULL;
    strcpy(config.name, "embedded");
    config.device_id[0] = 0x5200;
    memset(config.route, 0xFF, sizeof config.route); /* no other switch: no way anywhere */
    config.modules[0] = (struct fab_node_module){.arbitration = FAB_ARBITRATION_MFVC, .vfs = 8};
    for (int i = 0; i < 2; i++) {
        ports[i].gen = 5;
        ports[i].cfg_lanes = ports[i].lanes = 16;
        ports[i].peer_switch = ports[i].peer_port = 0xFF;
        ports[i].phases = 256;
        ports[i].capacity = 50e9; /* B/s of payload, each way */
    }
    must(fab_node_create(&config, ports, NULL, &node), "node");
    return node;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: embed RING_FILE (on a tmpfs)\n");
        return 2;
    }
    if (fab_layout() != FAB_LAYOUT) { /* headers of one build, library of another */
        fprintf(stderr, "embed: the library has another layout than fabcore.h\n");
        return 1;
    }
    fab_node *node = make_node();
    fab_bar *bar = fab_node_bar(node, 0); /* the node's: it closes it */
    fab_switch *sw = NULL;
    struct fab_switch_info info;
    must(fab_switch_open(bar, &sw), "switch");
    must(fab_switch_identify(sw, &info), "identify");
    printf("device 0x%x, generation %u, %s\n", info.device_id, info.generation, info.product);

    /* Module 0's first virtual function to the host; 0 << 6 is the module in its name. */
    must(fab_switch_bind(sw, 0, HOST_PORT, 0, 0 << 6 | FUNCTION), "bind");
    must(fab_function_offer(bar, MODULE_PORT, FUNCTION, 60e9, 0), "offer");

    fab_ring *ring = NULL;
    fab_reader *reader = NULL;
    must(fab_ring_create(argv[1], 1024, sizeof(struct fab_record), FAB_ONE_WRITER, &ring), "ring");
    must(fab_reader_open(ring, FAB_FROM_OLDEST, &reader), "reader");

    struct fab_function_map map = {.vm = 7, .sw = 0, .port = MODULE_PORT, .function = FUNCTION};
    for (int step = 0; step < STEPS; step++) {
        struct fab_record record;
        must(fab_node_advance(node, 0.1), "advance"); /* virtual time: as fast as it can */
        must(fab_function_records(&bar, 1, &map, 1, fab_node_time_ns(node), &record), "records");
        must(fab_ring_publish(ring, &record, 1), "publish");
    }

    struct fab_record records[STEPS];
    int64_t n = must(fab_reader_read(reader, records, STEPS), "read");
    const struct fab_record *last = &records[n - 1];
    printf("%d records, %llu lost, vm %u moved %.1f GB up in %.1f s\n", (int)n,
           (unsigned long long)fab_reader_lost(reader), last->vm, (double)last->up_bytes / 1e9,
           (double)last->time_ns / 1e9);

    fab_reader_close(reader); /* before its ring */
    fab_ring_close(ring);
    fab_switch_close(sw); /* before the bar, which goes with the node */
    fab_node_close(node);
    return 0;
}
