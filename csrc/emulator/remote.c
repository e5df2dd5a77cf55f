/* Registers of a switch by firmware command: how one switch of a fabric reaches another's. */
#include "node.h"

enum {
    READ_MOST = 512, /* what the vendor's library asks for at most */
    WRITE_MOST = GAS_MRPC_BYTES - 8,
    /* modelled: not written by this way, for a command that rings a doorbell might ring its own;
     * the vendor's tool refuses it, too */
    MAILBOX_END = 0x1000
};

static int fits(uint64_t offset, uint64_t bytes, uint32_t most) {
    return bytes <= most && offset + bytes <= FAB_GAS_BYTES;
}

/* {u32 offset, u32 bytes} -> bytes */
static uint32_t read_gas(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    uint64_t offset = bytes_get(in, 4), bytes = bytes_get(in + 4, 4);
    if (!fits(offset, bytes, READ_MOST)) return MRPC_ERR_PARAMETER;
    return gas_read(sw, offset, out, bytes) ? MRPC_ERR_PARAMETER : 0;
}

/* {u32 offset, u32 bytes, data} */
static uint32_t write_gas(struct node_switch *sw, const uint8_t *in, uint8_t *out) {
    uint64_t offset = bytes_get(in, 4), bytes = bytes_get(in + 4, 4);
    (void)out;
    if (!fits(offset, bytes, WRITE_MOST)) return MRPC_ERR_PARAMETER;
    if (offset < MAILBOX_END) return MRPC_ERR_DENIED;
    return gas_write_block(sw, offset, in + 8, bytes) ? MRPC_ERR_PARAMETER : 0;
}

const struct mrpc_entry mrpc_remote_commands[] = {
    {MRPC_GAS_READ, READ_MOST, FAMILIES_ALL, GENS_ALL, read_gas},
    {MRPC_GAS_WRITE, 0, FAMILIES_ALL, GENS_ALL, write_gas},
    {0},
};
