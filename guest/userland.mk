# userland.mk - libc, programs and extensions; included by guest/Makefile, or run alone from guest/:
#
#     make -f userland.mk userland          -> build/*.elf (programs), build/*.o (extensions), build/sandbox.elf
#
# One compiler for everybody (the ziglang package), and every path mapped away: the same source gives the same bytes,
# and so the same cycles, in whatever folder it is built.

PYTHON ?= python3
ZIG    ?= $(PYTHON) -m ziglang

# `make V=1` shows whole commands.
Q   := $(if $(V),,@)
say  = $(if $(V),,echo "  $(1) $@";)
BUILD  ?= build

# From guest/Makefile when included by it. The zig default for x86 has SSE2; compiled code must not use MMX or SSE: a
# Pentium Pro has neither, and a handler would change registers that the interrupted code may be using. It defines NDEBUG
# by itself when it optimises; assert() is to stay.
ifndef GUEST_TARGET
GUEST_TARGET := -target x86-freestanding-none -mcpu=i686
ZIG_LIB      := $(shell $(ZIG) env | sed -n 's/.*lib_dir *[=:] *"\(.*\)".*/\1/p;s/.*"lib_dir": *"\(.*\)".*/\1/p')
GUEST_MAPS   := -ffile-prefix-map=$(CURDIR)=guest -ffile-prefix-map=$(ZIG_LIB)=zig -fdebug-compilation-dir=guest
endif
U_FLAGS = $(GUEST_TARGET) -std=gnu11 -O2 -g -ffreestanding -fno-stack-protector -fno-pic -fno-pie -mno-sse -mno-mmx \
          -fno-sanitize=all -fno-asynchronous-unwind-tables -fno-unwind-tables -fno-builtin -nostdlib \
          -UNDEBUG -Wall -Wextra -Werror $(GUEST_MAPS) -Iinclude -Ilibc/include -Itesting

# libc: what both sides have, what only programs have, and what the sandbox has instead (libc/sandbox).
U_LIBC_ALL = syscall.S cpu.S setjmp.S entry.c calls.c errno.c string.c string_state.c strerror.c ctype.c int64.c number.c \
             sort.c random.c malloc.c arena.c printf.c stdio.c time.c assert.c
U_LIBC     = crt0.S start.c exit.c context.c thread.c clone.S $(U_LIBC_ALL)
U_LIBC_BOX = $(U_LIBC_ALL) sandbox/context.c sandbox/exit.c
# A program is programs/NAME.c, or a folder programs/NAME with several .c and .S files.
U_SOURCES  = $(wildcard programs/$(1).c programs/$(1)/*.c programs/$(1)/*.S)
U_PROGRAMS = $(patsubst programs/%.c,%,$(wildcard programs/*.c)) \
             $(patsubst programs/%/,%,$(sort $(dir $(wildcard programs/*/*.c))))
# Programs that are also linked for the window of a small address space, as NAME_small.elf.
U_SMALL    = hello test_small bench_ipc
U_EXTS     = $(basename $(notdir $(wildcard extensions/*.c)))
U_HEADERS  = $(wildcard libc/*.h libc/include/*.h libc/include/sys/*.h include/ringtoll/*.h programs/*/*.h testing/*.h)

U_TESTING  = $(patsubst %,$(BUILD)/%.o,$(sort $(wildcard testing/*.c testing/*.S)))
U_LIBC_O   = $(patsubst %,$(BUILD)/libc/%.o,$(U_LIBC))
U_ELFS     = $(patsubst %,$(BUILD)/%.elf,$(U_PROGRAMS)) $(patsubst %,$(BUILD)/%_small.elf,$(U_SMALL))
U_EXT_O    = $(patsubst %,$(BUILD)/%.o,$(U_EXTS) runtime libc_sandbox)

.PHONY: all userland
all: userland
userland: $(U_ELFS) $(U_EXT_O) $(BUILD)/sandbox.elf

$(BUILD)/libc/%.o: libc/% $(U_HEADERS) userland.mk
	@mkdir -p $(@D)
	$(Q)$(call say,CC)$(ZIG) cc $(U_FLAGS) -c $< -o $@

$(BUILD)/programs/%.o: programs/% $(U_HEADERS) userland.mk
	@mkdir -p $(@D)
	$(Q)$(call say,CC)$(ZIG) cc $(U_FLAGS) -c $< -o $@

$(BUILD)/programs/bench_ipc/pages.S.o: programs/bench_uls/pages.S

$(BUILD)/testing/%.o: testing/% $(U_HEADERS) userland.mk
	@mkdir -p $(@D)
	$(Q)$(call say,CC)$(ZIG) cc $(U_FLAGS) -c $< -o $@

# An archive, so that a program gets only what it uses.
$(BUILD)/testing.a: $(U_TESTING)
	$(Q)rm -f $@
	$(Q)$(call say,AR)$(ZIG) ar rcsD $@ $^

# $(1): the program, $(2): nothing, or _small for the other linker script.
define U_PROGRAM
$(BUILD)/$(1)$(2).elf: $(patsubst programs/%,$(BUILD)/programs/%.o,$(sort $(call U_SOURCES,$(1)))) $(U_LIBC_O) $(BUILD)/testing.a libc/program$(2).ld
	$$(Q)$$(call say,LD)$$(ZIG) cc $$(GUEST_TARGET) -nostdlib -static -fno-pie -Wl,-T,libc/program$(2).ld \
		-Wl,--build-id=none,--no-eh-frame-hdr -o $$@ $$(filter %.o %.a,$$^)
endef
$(foreach p,$(U_PROGRAMS),$(eval $(call U_PROGRAM,$(p),)))
$(foreach p,$(U_SMALL),$(eval $(call U_PROGRAM,$(p),_small)))

$(BUILD)/extensions/%.o: extensions/% $(U_HEADERS) userland.mk
	@mkdir -p $(@D)
	$(Q)$(call say,CC)$(ZIG) cc $(U_FLAGS) -c $< -o $@

$(patsubst %,$(BUILD)/%.o,$(U_EXTS)): $(BUILD)/%.o: $(BUILD)/extensions/%.c.o
	$(Q)cp $< $@

$(BUILD)/runtime.o: $(BUILD)/extensions/runtime.S.o
	$(Q)cp $< $@

# The libc of all extensions: one relocatable file from several, as the sandbox linker wants it.
$(BUILD)/libc_sandbox/%.o: libc/% $(U_HEADERS) userland.mk
	@mkdir -p $(@D)
	$(Q)$(call say,CC)$(ZIG) cc $(U_FLAGS) -DSANDBOX -c $< -o $@

$(BUILD)/libc_sandbox.o: $(patsubst %,$(BUILD)/libc_sandbox/%.o,$(U_LIBC_BOX))
	$(Q)$(call say,CC)$(ZIG) cc $(GUEST_TARGET) -nostdlib -r -o $@ $^

# The one image of all extensions that the tests and benchmarks use.
$(BUILD)/sandbox.elf: $(U_EXT_O) $(wildcard ../loader/sandbox*.py)
	$(Q)PYTHONPATH="..$${PYTHONPATH:+:$$PYTHONPATH}" $(PYTHON) -m loader.sandbox $@ --runtime $(BUILD)/runtime.o --libc $(BUILD)/libc_sandbox.o \
		$(foreach e,$(U_EXTS),$(e)=$(BUILD)/$(e).o)
