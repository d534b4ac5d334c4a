/* timer.c - the 100 Hz tick from 8254 channel 0. */
#include "uls.h"

#define PIT_CHANNEL0 0x40
#define PIT_COMMAND  0x43
#define PIT_MODE2    0x34           /* channel 0, low then high byte, mode 2 (rate generator) */
#define PIT_HZ       1193182
#define IRQ_TIMER    0

volatile u32 ticks;

void timer_init(void)
{
	u32 divisor = (PIT_HZ + ABI_HZ / 2) / ABI_HZ;
	outb(PIT_COMMAND, PIT_MODE2);
	outb(PIT_CHANNEL0, (u8)divisor);
	outb(PIT_CHANNEL0, (u8)(divisor >> 8));
	pic_enable(IRQ_TIMER);
}

/*
 * The top half: count, wake sleepers, charge the running task, queue events of the timer source. Upcalls are bottom
 * half work: they run on the way back to ring 3 (exit_to_user) or from the idle loop, with interrupts on.
 */
void timer_interrupt(const struct pt_regs *regs)
{
	ticks++;
	if (user_mode(regs))
		current->utime++;
	else
		current->stime++;
	if (current->ext ? current->ext->owner != 0 : current->pid != 0)
		limit_tick(process());
	sleep_tick();
	extension_tick();
	sched_tick();
}
