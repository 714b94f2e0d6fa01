/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/tsc.h"

#include <time.h>
#include <x86intrin.h>

#define WINDOW_NS 2000000
/* A reading of both clocks that took longer was interrupted. */
#define READING_MAX_TICKS 20000
#define READINGS 100

struct reading {
	uint64_t ticks;
	int64_t ns;
};

static int64_t clock_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC_RAW, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Both clocks at one moment: the best of several readings. Returns how far apart they may be, in ticks. */
static uint64_t read_both(struct reading *ret)
{
	uint64_t best = UINT64_MAX;
	for (int i = 0; i < READINGS && (i < 3 || best > READING_MAX_TICKS); i++) {
		uint64_t before = __rdtsc();
		int64_t ns = clock_ns();
		uint64_t took = __rdtsc() - before;
		if (took < best) {
			best = took;
			*ret = (struct reading){ before + took / 2, ns };
		}
	}
	return best;
}

uint32_t hull_tsc_khz(void)
{
	struct reading first, last;
	if (read_both(&first) > READING_MAX_TICKS)
		return 0;
	while (clock_ns() - first.ns < WINDOW_NS)
		;
	if (read_both(&last) > READING_MAX_TICKS || last.ns <= first.ns)
		return 0;
	uint64_t khz = (last.ticks - first.ticks) * 1000000 / (uint64_t)(last.ns - first.ns);
	/* What is outside of this is no counter at a steady rate. */
	return khz >= 100000 && khz <= 20000000 ? (uint32_t)khz : 0;
}
