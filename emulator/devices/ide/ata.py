"""Names of the ATA/ATAPI-4 standard (NCITS 317-1998): registers, bits, command codes."""

from typing import Final

# Command block registers, by offset from the channel's base (clause 7)
DATA: Final = 0
ERROR: Final = 1
FEATURES: Final = 1
SECTOR_COUNT: Final = 2
SECTOR_NUMBER: Final = 3  # LBA 7:0
CYLINDER_LOW: Final = 4  # LBA 15:8
CYLINDER_HIGH: Final = 5  # LBA 23:16
DEVICE_HEAD: Final = 6  # 1 LBA 1 DEV, head or LBA 27:24
STATUS: Final = 7
COMMAND: Final = 7

# Status (7.15)
BSY: Final = 0x80
DRDY: Final = 0x40
DSC: Final = 0x10
DRQ: Final = 0x08
ERR: Final = 0x01
READY: Final = DRDY | DSC

# Error (7.9)
IDNF: Final = 0x10
ABRT: Final = 0x04
PASSED: Final = 0x01  # diagnostic code: this device has passed (and device 1, or there is none)

# Device/Head (7.10), Device Control (7.8)
LBA: Final = 0x40
DEV: Final = 0x10
SRST: Final = 0x04
NIEN: Final = 0x02

# Commands (clause 8); what was in an earlier standard has its name from there
NOP: Final = 0x00
READ_SECTORS: Final = 0x20
READ_SECTORS_NO_RETRY: Final = 0x21
WRITE_SECTORS: Final = 0x30
WRITE_SECTORS_NO_RETRY: Final = 0x31
WRITE_VERIFY: Final = 0x3C
READ_VERIFY: Final = 0x40
READ_VERIFY_NO_RETRY: Final = 0x41
RECALIBRATE: Final = 0x10  # to 0x1f
SEEK: Final = 0x70  # to 0x7f
EXECUTE_DIAGNOSTIC: Final = 0x90
INITIALIZE_PARAMETERS: Final = 0x91
READ_MULTIPLE: Final = 0xC4
WRITE_MULTIPLE: Final = 0xC5
SET_MULTIPLE: Final = 0xC6
READ_BUFFER: Final = 0xE4
FLUSH_CACHE: Final = 0xE7
WRITE_BUFFER: Final = 0xE8
IDENTIFY: Final = 0xEC
SET_FEATURES: Final = 0xEF

STANDBY_IMMEDIATE: Final = (0xE0, 0x94)
IDLE_IMMEDIATE: Final = (0xE1, 0x95)
STANDBY: Final = (0xE2, 0x96)
IDLE: Final = (0xE3, 0x97)
CHECK_POWER_MODE: Final = (0xE5, 0x98)
SLEEP: Final = (0xE6, 0x99)

READS: Final = frozenset((READ_SECTORS, READ_SECTORS_NO_RETRY, READ_MULTIPLE))
WRITES: Final = frozenset((WRITE_SECTORS, WRITE_SECTORS_NO_RETRY, WRITE_VERIFY, WRITE_MULTIPLE))
MULTIPLES: Final = frozenset((READ_MULTIPLE, WRITE_MULTIPLE))

# SET FEATURES subcommands (8.37)
WRITE_CACHE_ON: Final = 0x02
SET_TRANSFER_MODE: Final = 0x03
DEFAULTS_KEPT: Final = 0x66
LOOK_AHEAD_OFF: Final = 0x55
WRITE_CACHE_OFF: Final = 0x82
LOOK_AHEAD_ON: Final = 0xAA
DEFAULTS_REVERTED: Final = 0xCC
