/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/*
 * The frequency of this host's time stamp counter in kHz, measured for two milliseconds; 0 if the clock cannot be read often enough to
 * tell. An emulated guest's counter is the host's. Left to itself its kernel finds the frequency by counting during 10 ms of an emulated
 * timer, and on a busy host it finds one that is several times too low: the guest's clock then runs several times too fast for good.
 * Source: qemu softmmu/cpu-timers.c, cpu_get_ticks(); linux arch/x86/kernel/tsc.c, native_calibrate_tsc(), tsc_early_khz.
 */
uint32_t hull_tsc_khz(void);
