# userland.mk - libc, programs and extensions; included by guest/Makefile, or run alone from guest/:
#
#     make -f userland.mk userland          -> build/*.elf (programs), build/*.o (extensions), build/sandbox.elf
#
# One compiler for everybody (the ziglang package), and every path mapped away: the same source gives the same bytes,
# and so the same cycles, in whatever folder it is built.

PYTHON ?= python
ZIG    ?= $(PYTHON) -m ziglang
BUILD  ?= build

# The zig default for x86 has SSE2. No SSE and no MMX in compiled code: a handler or a signal handler would
# otherwise change registers that the interrupted code may be using, and a Pentium III has no SSE2.
U_TARGET = -target x86-freestanding-none -mcpu=pentium3 -mno-sse -mno-mmx
U_FLAGS  = $(U_TARGET) -O2 -g -ffreestanding -fno-stack-protector -fno-pic -fno-pie -nostdlib -fno-builtin \
           -fno-asynchronous-unwind-tables -fno-sanitize=all -std=gnu11 -Wall -Wextra -Werror -Iinclude -Itesting \
           -ffile-prefix-map=$(CURDIR)=/guest -fdebug-compilation-dir=/guest \
           -ffile-prefix-map=$(U_ZIGDIR)=/zig

U_ZIGDIR   := $(shell $(PYTHON) -c "import ziglang, os; print(os.path.realpath(os.path.dirname(ziglang.__file__)))")

U_LIBC     = crt0.S start.c syscall.S cpu.S calls.c string.c int64.c number.c malloc.c printf.c
# A program is programs/NAME.c, or a folder programs/NAME with several .c and .S files.
U_SOURCES  = $(wildcard programs/$(1).c programs/$(1)/*.c programs/$(1)/*.S)
U_PROGRAMS = $(patsubst programs/%.c,%,$(wildcard programs/*.c)) \
             $(patsubst programs/%/,%,$(sort $(dir $(wildcard programs/*/*.c))))
U_EXTS     = $(basename $(notdir $(wildcard extensions/*.c)))
U_HEADERS  = $(wildcard include/*.h include/sys/*.h include/ringtoll/*.h programs/*/*.h testing/*.h)

U_TESTING  = $(patsubst %,$(BUILD)/%.o,$(sort $(wildcard testing/*.c testing/*.S)))
U_LIBC_O   = $(patsubst %,$(BUILD)/libc/%.o,$(U_LIBC))
U_ELFS     = $(patsubst %,$(BUILD)/%.elf,$(U_PROGRAMS))
U_EXT_O    = $(patsubst %,$(BUILD)/%.o,$(U_EXTS) runtime)

.PHONY: userland
userland: $(U_ELFS) $(U_EXT_O) $(BUILD)/sandbox.elf

$(BUILD)/libc/%.o: libc/% $(U_HEADERS) userland.mk
	@mkdir -p $(@D)
	$(ZIG) cc $(U_FLAGS) -c $< -o $@

$(BUILD)/programs/%.o: programs/% $(U_HEADERS) userland.mk
	@mkdir -p $(@D)
	$(ZIG) cc $(U_FLAGS) -c $< -o $@

$(BUILD)/testing/%.o: testing/% $(U_HEADERS) userland.mk
	@mkdir -p $(@D)
	$(ZIG) cc $(U_FLAGS) -c $< -o $@

# An archive, so that a program gets only what it uses.
$(BUILD)/testing.a: $(U_TESTING)
	rm -f $@
	$(ZIG) ar rcsD $@ $^

define U_PROGRAM
$(BUILD)/$(1).elf: $(patsubst programs/%,$(BUILD)/programs/%.o,$(sort $(call U_SOURCES,$(1)))) $(U_LIBC_O) $(BUILD)/testing.a libc/program.ld
	$$(ZIG) cc $$(U_TARGET) -nostdlib -static -fno-pie -Wl,-T,libc/program.ld \
		-Wl,--build-id=none,--no-eh-frame-hdr -o $$@ $$(filter %.o %.a,$$^)
endef
$(foreach p,$(U_PROGRAMS),$(eval $(call U_PROGRAM,$(p))))

$(patsubst %,$(BUILD)/%.o,$(U_EXTS)): $(BUILD)/%.o: extensions/%.c $(U_HEADERS) userland.mk
	@mkdir -p $(@D)
	$(ZIG) cc $(U_FLAGS) -c $< -o $@

# The runtime: return stubs, and those parts of libc that have no data and that compilers call on their own.
$(BUILD)/libc/runtime.S.o: extensions/runtime.S $(U_HEADERS) userland.mk
	@mkdir -p $(@D)
	$(ZIG) cc $(U_FLAGS) -c $< -o $@

$(BUILD)/runtime.o: $(patsubst %,$(BUILD)/libc/%.o,runtime.S string.c int64.c)
	$(ZIG) cc $(U_TARGET) -nostdlib -r -o $@ $^

# The one image of all extensions that the tests and benchmarks use.
$(BUILD)/sandbox.elf: $(U_EXT_O) $(wildcard ../loader/sandbox*.py)
	PYTHONPATH=.. $(PYTHON) -m loader.sandbox $@ --runtime $(BUILD)/runtime.o \
		$(foreach e,$(U_EXTS),$(e)=$(BUILD)/$(e).o)
