/* SPDX-License-Identifier: Apache-2.0 */
/* Boots real guests for tests: an initramfs around vmm_guest, a loop with deadlines, questions and answers. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "vmm/vmm.h"

struct vmm_guest {
	uv_loop_t loop;
	uv_timer_t tick;               /* so that no turn of the loop lasts long */
	struct hull_vm_config config;
	char dir[64];                  /* run_dir, with the initramfs in it */
	int lowest_free_fd;            /* before anything was opened: the same number after the end */
	struct hull_vmm *vm;
	int agent_fd;
	bool started, start_failed, panicked, exited;
	char start_error[2048], exit_reason[2048];
	int64_t start_ms, running_ms, up_ms;
	char console[65536];
	size_t console_len;
};

/* "debian" or "hull": whether build-guest has that kernel. Sets what config needs to boot it. Makes `dir`. */
bool vmm_guest_prepare(struct vmm_guest *g, const char *kernel);

/* Calls start() of the QEMU driver. */
int vmm_guest_start(struct vmm_guest *g, struct hull_error *err);

/* Starts and waits until init says "up"; fails the test otherwise. */
void vmm_guest_boot(struct vmm_guest *g);

/* Runs the loop until *flag is set. False after timeout_ms. */
bool vmm_guest_wait(struct vmm_guest *g, const bool *flag, int timeout_ms);

/* Sends a question and copies the answer, one line, to `answer`. The loop runs meanwhile. */
const char *vmm_guest_ask(struct vmm_guest *g, const char *question, char answer[static 4096]);

/* Asks again and again until the answer contains `words`, and fails the test when it does not within 10 s. */
void vmm_guest_expect(struct vmm_guest *g, const char *question, const char *words);

/* As expect, until the answer does not contain them any more. */
void vmm_guest_expect_not(struct vmm_guest *g, const char *question, const char *words);

/* Frees the VM and everything else; checks that nothing is left on the loop and no descriptor is open. */
void vmm_guest_end(struct vmm_guest *g);

/* The answer to one operation. */
struct vmm_answer {
	bool done;
	int code;
	char message[2048];
};

/* A hull_vmm_done_fn whose data is a struct vmm_answer. */
void vmm_answered(void *data, const struct hull_error *err);

/* Waits for the answer, and fails the test with its message when it is an error. */
void vmm_guest_succeeds(struct vmm_guest *g, struct vmm_answer *answer);
