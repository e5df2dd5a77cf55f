/* Names of capabilities, as the PCI Code and ID Assignment Specification lists them. */
#include <stddef.h>

#include "fabcore.h"

static const char *const standard[] = {
    [0x01] = "Power Management",
    [0x03] = "Vital Product Data",
    [0x05] = "MSI",
    [0x09] = "Vendor Specific",
    [0x0D] = "Bridge Subsystem Vendor ID",
    [0x10] = "PCI Express",
    [0x11] = "MSI-X",
    [0x13] = "Advanced Features",
    [0x14] = "Enhanced Allocation",
};
static const char *const extended_names[] = {
    [0x01] = "Advanced Error Reporting",
    [0x02] = "Virtual Channel",
    [0x03] = "Device Serial Number",
    [0x04] = "Power Budgeting",
    [0x08] = "Multi-Function Virtual Channel",
    [0x09] = "Virtual Channel with MFVC",
    [0x0B] = "Vendor Specific",
    [0x0D] = "Access Control Services",
    [0x0E] = "Alternative Routing-ID",
    [0x0F] = "Address Translation Services",
    [0x10] = "Single Root I/O Virtualization",
    [0x12] = "Multicast",
    [0x13] = "Page Request Interface",
    [0x15] = "Resizable BAR",
    [0x16] = "Dynamic Power Allocation",
    [0x17] = "TPH Requester",
    [0x18] = "Latency Tolerance Reporting",
    [0x19] = "Secondary PCI Express",
    [0x1B] = "Process Address Space ID",
    [0x1D] = "Downstream Port Containment",
    [0x1E] = "L1 PM Substates",
    [0x1F] = "Precision Time Measurement",
    [0x23] = "Designated Vendor Specific",
    [0x24] = "VF Resizable BAR",
    [0x25] = "Data Link Feature",
    [0x26] = "Physical Layer 16.0 GT/s",
    [0x27] = "Lane Margining at the Receiver",
    [0x28] = "Hierarchy ID",
    [0x29] = "Native PCIe Enclosure Management",
    [0x2A] = "Physical Layer 32.0 GT/s",
    [0x2B] = "Alternate Protocol",
    [0x2C] = "System Firmware Intermediary",
    [0x2E] = "Data Object Exchange",
    [0x30] = "Integrity and Data Encryption",
    [0x31] = "Physical Layer 64.0 GT/s",
};

const char *fab_capability_name(uint16_t id, int extended) {
    size_t n = sizeof standard / sizeof *standard;
    if (extended) n = sizeof extended_names / sizeof *extended_names;
    if (id >= n) return NULL;
    return extended ? extended_names[id] : standard[id];
}
