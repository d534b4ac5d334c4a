"""Generated privileged code, run on Ringtoll and on qemu-system-i386, and compared record by record."""
