/* The switch driver against a register image: identity, mailbox, ports, functions, table handshake.
 */
#include <errno.h>
#include <math.h>

#include "check.h"
#include "driver_image.h"
#include "quick_switch.h"

static void identity_comes_from_registers_and_firmware(void) {
    struct image *m = image_create(0x5200, 128, 3);
    fab_switch *sw = open_quick(m->bar);
    struct fab_switch_info info;
    CHECK_EQ(fab_switch_identify(sw, &info), 0);
    CHECK_EQ(info.device_id, 0x5200);
    CHECK_EQ(info.generation, 5);
    CHECK_EQ(info.pax_id, 2);
    CHECK_EQ(info.lanes, 100);
    CHECK_EQ(info.fw_version, 0x060200B0);
    CHECK_EQ(info.device_version, 0x10000);
    CHECK_EQ(strcmp(info.product, "PAX 100XG5"), 0);
    CHECK(fab_switch_bar(sw) == m->bar);
    m->mailbox = MAILBOX_REFUSES; /* a third generation's firmware does not know the ping */
    m->refusal = MRPC_ERR_COMMAND;
    m->refused_command = MRPC_PING;
    CHECK_EQ(fab_switch_identify(sw, &info), 0);
    CHECK_EQ(info.generation, 3);
    fab_switch_close(sw);
    image_free(m);
}

static void only_a_switchtec_is_opened(void) {
    static const struct {
        uint32_t id;
        int rc;
    } cases[] = {{0x5200, 0},       {0x5100, 0},       {0x5000, 0},       {0x4236, 0},
                 {0x6144, 0},       {0x8531, 0},       {0x8576, 0},       {0x5300, 0},
                 {0, -EPROTO},      {0x5600, -EPROTO}, {0x5201, -EPROTO}, {0x6400, -EPROTO},
                 {0x8530, -EPROTO}, {0x8537, -EPROTO}, {0x8586, -EPROTO}, {UINT32_MAX, -ENODEV}};
    struct image *m = image_create(0x5200, 128, 3);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fab_switch *sw = NULL;
        put(m->gas + GAS_DEVICE_ID, 4, cases[i].id);
        CHECK_EQ(fab_switch_open(m->bar, &sw), cases[i].rc);
        if (cases[i].rc == 0) fab_switch_close(sw);
    }
    image_free(m);
}

static void a_command_carries_the_pax_index(void) {
    struct image *m = image_create(0x5200, 128, 3);
    fab_switch *sw = open_quick(m->bar);
    struct fab_switch_info info;
    CHECK_EQ(fab_switch_mrpc(sw, MRPC_PORT_CONTROL, -1, NULL, 0, NULL, 0, NULL), 0);
    CHECK_EQ(m->last_word, 0x7C0000 | MRPC_PORT_CONTROL); /* local, not yet known */
    CHECK_EQ(fab_switch_identify(sw, &info), 0);
    CHECK_EQ(fab_switch_mrpc(sw, MRPC_PORT_CONTROL, -1, NULL, 0, NULL, 0, NULL), 0);
    CHECK_EQ(m->last_word, 2 << MRPC_PAX_SHIFT | MRPC_PORT_CONTROL);
    CHECK_EQ(fab_switch_mrpc(sw, MRPC_PORT_CONTROL, 3, NULL, 0, NULL, 0, NULL), 0);
    CHECK_EQ(m->last_word, 0xC0000 | MRPC_PORT_CONTROL);
    CHECK_EQ(fab_switch_mrpc(sw, 0x10000, -1, NULL, 0, NULL, 0, NULL), -EINVAL);
    CHECK_EQ(fab_switch_mrpc(sw, 1, 31, NULL, 0, NULL, 0, NULL), -EINVAL);
    uint8_t big[1025] = {0};
    CHECK_EQ(fab_switch_mrpc(sw, 1, -1, big, sizeof big, NULL, 0, NULL), -EINVAL);
    CHECK_EQ(fab_switch_mrpc(sw, 1, -1, NULL, 0, big, sizeof big, NULL), -EINVAL);
    fab_switch_close(sw);
    put(m->gas + GAS_DEVICE_ID, 4, 0x5100); /* a PSX has no PAX index */
    sw = open_quick(m->bar);
    CHECK_EQ(fab_switch_mrpc(sw, MRPC_PORT_CONTROL, -1, NULL, 0, NULL, 0, NULL), 0);
    CHECK_EQ(m->last_word, 0xFFFC0000 | MRPC_PORT_CONTROL);
    CHECK_EQ(fab_switch_mrpc(sw, MRPC_PORT_CONTROL, 0, NULL, 0, NULL, 0, NULL), -EOPNOTSUPP);
    fab_switch_close(sw);
    image_free(m);
}

static void every_end_of_a_command_has_its_error(void) {
    struct image *m = image_create(0x5200, 128, 3);
    fab_switch *sw = open_quick(m->bar);
    uint32_t in = 7, out[2] = {0xAA, 0xAA}, code = 1;
    CHECK_EQ(fab_switch_mrpc(sw, MRPC_PING, -1, &in, 4, out, 8, &code), 0);
    CHECK_EQ(code, 0);
    CHECK_EQ(out[1], ~UINT32_C(7));
    out[1] = 0xAA;
    CHECK_EQ(fab_switch_mrpc(sw, 0x7777, -1, &in, 4, out, 8, &code), -EREMOTEIO);
    CHECK_EQ(code, MRPC_ERR_COMMAND);
    CHECK_EQ(out[1], 0xAA); /* nothing is answered with an error */
    m->mailbox = MAILBOX_ERROR;
    m->refusal = 0x64010;
    CHECK_EQ(fab_switch_mrpc(sw, MRPC_PING, -1, &in, 4, out, 8, &code), -EREMOTEIO);
    CHECK_EQ(code, 0x64010);
    m->mailbox = MAILBOX_INTERRUPTED;
    CHECK_EQ(fab_switch_mrpc(sw, MRPC_PING, -1, &in, 4, out, 8, &code), -EINTR);
    m->mailbox = MAILBOX_STUCK;
    CHECK_EQ(fab_switch_mrpc(sw, MRPC_PING, -1, &in, 4, out, 8, &code), -ETIMEDOUT);
    m->mailbox = MAILBOX_DEAF;
    put(m->gas + GAS_MRPC_STATUS, 4, 0);
    CHECK_EQ(fab_switch_mrpc(sw, MRPC_PING, -1, &in, 4, out, 8, &code), -ETIMEDOUT);
    m->mailbox = MAILBOX_OK; /* the next command is tried all the same */
    CHECK_EQ(fab_switch_mrpc(sw, MRPC_PING, -1, &in, 4, out, 8, &code), 0);
    image_vanish(m);
    CHECK_EQ(fab_switch_mrpc(sw, MRPC_PING, -1, &in, 4, out, 8, &code), -ENODEV);
    fab_switch_close(sw);
    image_free(m);
}

static void ports_say_what_they_are(void) {
    struct image *m = image_create(0x5200, 256, 3);
    fab_switch *sw = open_quick(m->bar);
    struct fab_port_info p[8];
    CHECK_EQ(fab_switch_ports(sw, p, 8), IMAGE_PORTS);
    CHECK_EQ(p[1].port, 8);
    CHECK_EQ(p[1].kind, FAB_PORT_MODULE);
    CHECK_EQ(p[1].index, 1);
    CHECK_EQ(p[1].up, 0);
    CHECK_EQ(p[1].neg_lanes, 0);
    CHECK_EQ(p[1].cfg_lanes, 16);
    CHECK_EQ(p[2].kind, FAB_PORT_HOST);
    CHECK_EQ(p[2].index, 3);
    CHECK_EQ(p[2].neg_lanes, 8);
    CHECK_EQ(p[2].gen, 5);
    CHECK_EQ(p[2].ltssm, LTSSM_L0);
    CHECK_EQ(p[3].kind, FAB_PORT_FABRIC);
    CHECK_EQ(p[3].peer_switch, 1);
    CHECK_EQ(p[3].peer_port, 40);
    CHECK_EQ(p[4].peer_switch, 0xFF);
    CHECK_EQ(p[4].phases, 256);
    CHECK_EQ(p[4].vc_offset, IMAGE_VC);
    CHECK_EQ(fab_switch_ports(sw, p, 2), 2);
    put(image_pff(m, 0) + IMAGE_VC, 4, EXT_CAP_VC | IMAGE_VC << 20); /* bites its own tail */
    put(image_pff(m, 0) + IMAGE_VC, 2, 0x1234);
    CHECK_EQ(fab_switch_ports(sw, p, 8), IMAGE_PORTS);
    CHECK_EQ(p[0].phases, 0);
    CHECK_EQ(p[0].vc_offset, 0);
    image_vanish(m);
    CHECK_EQ(fab_switch_ports(sw, p, 8), -ENODEV);
    fab_switch_close(sw);
    image_free(m);
}

static void routes_counters_and_bindings(void) {
    struct image *m = image_create(0x5200, 128, 3);
    fab_switch *sw = open_quick(m->bar);
    uint8_t routes[16], ports[40];
    struct fab_port_counters c[40];
    m->topology_waits = 3;
    CHECK_EQ(fab_switch_routes(sw, routes, 4), 4);
    CHECK_EQ(routes[0], 0xFF);
    CHECK_EQ(routes[1], 32);
    CHECK_EQ(routes[3], 40);
    for (uint8_t k = 0; k < 40; k++) ports[k] = k;
    CHECK_EQ(fab_switch_counters(sw, ports, 40, c), 40);
    CHECK_EQ(c[39].time_us, 39000);
    CHECK_EQ(c[39].ingress_nonposted, 39006);
    for (unsigned k = 0; k < 40; k++) CHECK_EQ(m->payload_types[k], 1);
    uint32_t commands = m->commands;
    CHECK_EQ(fab_switch_counters(sw, ports, 16, c), 16);
    CHECK_EQ(m->commands, commands + 1); /* the type is set once */
    CHECK_EQ(fab_switch_bind(sw, 0, 16, 1, PDFID(0, 1)), 0);
    CHECK_EQ(get(m->gas, 4), 0x01100001);
    CHECK_EQ(get(m->gas + 4, 4), 1); /* and no next slot */
    CHECK_EQ(fab_switch_bind(sw, 0, 17, 1, PDFID(0, 1)), -EREMOTEIO);
    CHECK_EQ(fab_switch_unbind(sw, 0, 16, 1, PDFID(0, 1)), 0);
    CHECK_EQ(get(m->gas, 4), 0x01100002);
    CHECK_EQ(fab_switch_port_control(sw, 8, FAB_PORT_RETRAIN), 0);
    CHECK_EQ(get(m->gas, 4), 0x00000802);
    commands = m->commands;
    CHECK_EQ(fab_switch_port_control(sw, 8, FAB_PORT_HOT_RESET), 0);
    CHECK_EQ(m->commands, commands + 2); /* set, and cleared again */
    CHECK_EQ(get(m->gas, 4), 0x00000803);
    CHECK_EQ(fab_switch_port_control(sw, 8, 4), -EINVAL);
    fab_switch_close(sw);
    image_free(m);
}

static void link_events_are_cleared_and_stay_enabled(void) {
    struct image *m = image_create(0x5200, 128, 3);
    fab_switch *sw = open_quick(m->bar);
    uint8_t ports[4];
    uint32_t header = PFF_EVENT_HEADERS + PFF_EVENT_STRIDE * PFF_LINK_STATE;
    CHECK_EQ(fab_switch_link_events(sw, ports, 4), 0);
    for (unsigned k = 1; k <= 2; k++) {
        put(image_pff(m, k) + PFF_EVENT_SUMMARY, 4, 1u << PFF_LINK_STATE);
        put(image_pff(m, k) + header, 4, EVENT_OCCURRED | EVENT_EN_IRQ | 3 << 5);
    }
    CHECK_EQ(fab_switch_link_events(sw, ports, 1), 1);
    CHECK_EQ(ports[0], 8);
    CHECK_EQ(fab_switch_link_events(sw, ports, 4), 1); /* the other one waited */
    CHECK_EQ(ports[0], 16);
    CHECK_EQ(fab_switch_link_events(sw, ports, 4), 0);
    CHECK_EQ(get(image_pff(m, 1) + header, 4), EVENT_EN_IRQ);
    image_vanish(m);
    CHECK_EQ(fab_switch_link_events(sw, ports, 4), -ENODEV);
    fab_switch_close(sw);
    image_free(m);
}

static void functions_are_probed_and_grouped(void) {
    struct image *m = image_create(0x5200, 128, 3);
    fab_switch *sw = open_quick(m->bar);
    struct fab_function_info f;
    uint32_t value;
    CHECK_EQ(fab_switch_function_probe(sw, PDFID(0, 1), &f), 0);
    CHECK_EQ(f.arbitration, FAB_ARBITRATION_MFVC);
    CHECK_EQ(f.groups, 8);
    CHECK_EQ(f.phases, 128);
    CHECK_EQ(f.total_vfs, 2);
    CHECK_EQ(f.device, 0xFAB0);
    CHECK_EQ(fab_switch_function_probe(sw, PDFID(1, 0), &f), 0);
    CHECK_EQ(f.arbitration, FAB_ARBITRATION_SHAPER);
    CHECK_EQ(f.arbitration_offset, IMAGE_SHAPER);
    CHECK_EQ(f.groups, 0);
    CHECK_EQ(fab_switch_function_group(sw, PDFID(0, 2), 5), 0);
    CHECK_EQ(get(m->functions[0][2] + IMAGE_ARI + ARI_CONTROL, 2), 5 << 4);
    CHECK_EQ(get(m->functions[0][0] + IMAGE_ARI + ARI_CONTROL, 2), 1);
    CHECK_EQ(fab_switch_function_group(sw, PDFID(0, 2), 8), -EINVAL);
    CHECK_EQ(fab_switch_function_group(sw, PDFID(1, 2), 1), -EOPNOTSUPP);
    CHECK_EQ(fab_switch_function_read(sw, PDFID(0, 0), 2, 2, &value), 0);
    CHECK_EQ(value, 0xFAB0);
    CHECK_EQ(fab_switch_function_read(sw, 0, 2, 4, &value), -EINVAL);
    CHECK_EQ(fab_switch_function_read(sw, 0, 0x1000, 4, &value), -EINVAL);
    CHECK_EQ(fab_switch_function_write(sw, 0, 0, 3, 0), -EINVAL);
    CHECK_EQ(fab_switch_function_probe(sw, PDFID(7, 0), &f), -EREMOTEIO);
    memset(m->functions[1], 0xFF, sizeof m->functions[1]); /* pulled out */
    CHECK_EQ(fab_switch_function_probe(sw, PDFID(1, 0), &f), -ENODEV);
    fab_switch_close(sw);
    image_free(m);
}

static void shapes_are_rounded_up_and_written_once(void) {
    struct image *m = image_create(0x5200, 128, 3);
    fab_switch *sw = open_quick(m->bar);
    const uint8_t *row = m->functions[1][0] + IMAGE_SHAPER + SHAPER_TABLE + SHAPER_STRIDE * 2;
    CHECK_EQ(fab_switch_function_shape(sw, PDFID(1, 2), 1.5e6, 0, 5e9, INFINITY), 0);
    CHECK_EQ(get(row, 4), 2);
    CHECK_EQ(get(row + 4, 4), 0);
    CHECK_EQ(get(row + 8, 4), 5000);
    CHECK_EQ(get(row + 12, 4), 0);
    uint64_t writes = fab_bar_writes(m->bar);
    uint32_t commands = m->commands;
    CHECK_EQ(fab_switch_function_shape(sw, PDFID(1, 2), 1.5e6, 0, 5e9, 0), 0);
    CHECK_EQ(get(row + 12, 4), 1); /* a ceiling of nothing is not "no ceiling" */
    uint64_t one = fab_bar_writes(m->bar) - writes;
    writes = fab_bar_writes(m->bar);
    CHECK_EQ(fab_switch_function_shape(sw, PDFID(1, 2), 1.5e6, 0, 5e9, 0), 0);
    CHECK_EQ(one - (fab_bar_writes(m->bar) - writes), 4 + 3); /* 4 to write one dword, 3 to read */
    CHECK(m->commands > commands);
    CHECK_EQ(fab_switch_function_shape(sw, PDFID(1, 2), NAN, 0, 1, 1), -EINVAL);
    CHECK_EQ(fab_switch_function_shape(sw, PDFID(1, 2), -1, 0, 1, 1), -EINVAL);
    CHECK_EQ(fab_switch_function_shape(sw, PDFID(1, 2), 2, 0, 1, 1), -EINVAL);
    CHECK_EQ(fab_switch_function_shape(sw, PDFID(1, 2), 0, 0, 1, NAN), -EINVAL);
    CHECK_EQ(fab_switch_function_shape(sw, PDFID(1, 2), 0, 0, 1e17, 1), -ERANGE);
    CHECK_EQ(fab_switch_function_shape(sw, PDFID(1, 9), 0, 0, 1, 1), -ENOENT);
    CHECK_EQ(fab_switch_function_shape(sw, PDFID(0, 1), 0, 0, 1, 1), -EOPNOTSUPP);
    CHECK_EQ(get(row, 4), 2); /* none of them changed anything */
    fab_switch_close(sw);
    image_free(m);
}

int main(void) {
    identity_comes_from_registers_and_firmware();
    only_a_switchtec_is_opened();
    a_command_carries_the_pax_index();
    every_end_of_a_command_has_its_error();
    ports_say_what_they_are();
    routes_counters_and_bindings();
    link_events_are_cleared_and_stay_enabled();
    functions_are_probed_and_grouped();
    shapes_are_rounded_up_and_written_once();
    return CHECK_RESULT;
}
