"""A node opened while a module's link is down: it opens, says so, and takes the module in later."""

from __future__ import annotations

import uuid

import pytest

import fabcore


# A module that is held by function groups, one by its shaper, one by nothing.
@pytest.mark.parametrize("module", [1, 4, 7])
def test_a_module_whose_link_is_down_is_absent_until_it_comes(module: int) -> None:
    name = f"fabcore-test-{uuid.uuid4().hex[:8]}"
    with fabcore.ResourceNode.emulated(realtime=True, shm=name) as emulated:
        port = emulated.topology.module_ports[module]
        emulated.fault(port.switch, "link-down", port.port)
        with fabcore.ResourceNode.open(f"shm:{name}") as node, fabcore.Controller(node) as ctl:
            where = f"{port.switch}:{port.port}"
            assert node.chassis.absent == {module: f"the link of its port {where} is down"}
            assert node.chassis.arbitration[module] == "none"
            [said] = [e for e in ctl.events if e.kind == "module_absent"]
            assert said.detail["module"] == module and where in said.detail["reason"]
            with pytest.raises(
                fabcore.CapacityError, match=f"module {module} is not there: .*down"
            ):
                ctl.add_vm("asked", host=0, module=module)
            for k in range(14):
                ctl.add_vm(f"vm{k}", host=k % 8, share=0.5, floor=1e8)
            assert module not in {vm.function.module for vm in node.vms.all()}
            ctl.run(rate_hz=100, seconds=0.3)
            assert ctl.events.counts["port_down"] == 1 and "module_joined" not in ctl.events.counts
            emulated.fault(port.switch, "link-up", port.port)
            for _ in range(50):
                ctl.run(rate_hz=100, seconds=0.1)
                if not node.chassis.absent:
                    break
            assert ctl.events.counts["module_joined"] == 1
            kind = emulated.topology.module_specs[module].arbitration
            assert node.chassis.arbitration[module] == kind
            late = ctl.add_vm("late", host=0, share=0.5, floor=1e8)
            other = ctl.add_vm("other", host=0, module=module, share=0.5, floor=1e8)
            assert node.vms.get(late).function.module == module
            ctl.run(rate_hz=100, seconds=0.2)
            assert "tick_failed" not in ctl.events.counts
            if kind == "mfvc":
                t = node.chassis.tables.of_module[module]
                pdfid = node.chassis.tables.targets[t].pdfid
                phases = node.chassis.switches[port.switch].function_table(pdfid)
                groups = {node.vms.get(vm).function.group for vm in (late, other)}
                assert len(groups) == 2 and groups <= set(phases)
