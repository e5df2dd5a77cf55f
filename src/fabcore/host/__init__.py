"""host: what this machine's own hypervisor and kernel tell about its instances."""
