/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel modules of the initramfs. A kernel with everything built in has no /modules and nothing here does anything.
 *
 *     /modules/order     "<boot|late> <name> <file.ko> <dep,dep,…|->", dependencies complete and in load order
 *     /modules/aliases   "<alias> <name>", what the kernel asks for by another name
 *     /modules/options   "<name> <parameter=value …>", for those that are not loaded with their defaults
 * Source: guest/build-debian-kernel, which writes them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define HULL_MODULES_DIR "/modules"

struct hull_module {
	bool boot;
	const char *name, *file, *deps;        /* deps: comma-separated, empty when there are none */
};

/*
 * Parses the next line at *cursor, in place: the text is cut up and the module points into it.
 * Returns 1 with a module, 0 at the end, -EINVAL for a malformed line (the cursor then stands behind it).
 */
int hull_module_parse(char **cursor, struct hull_module *ret);

/* A module's parameters in the text of the options file; "" when it has none. The text is cut up and the answer points into it. */
const char *hull_module_options(char *text, const char *name);

/* Loads what every boot needs. A module that fails is logged and does not stop the others. */
void hull_modules_load_boot(void);

/*
 * Loads `name` (a module, or an alias of one) after what it depends on. Allowed at any time and repeatedly.
 * -ENOENT: there is no such module. In a kernel without modules everything is built in: -ENOENT too.
 */
int hull_modules_load(const char *name);

/* Loads the driver of a virtio device by its number. 0 also when it needs none. Source: linux/virtio_ids.h. */
int hull_modules_load_virtio(unsigned device_id);

/* The kernel's usermode helper: "modprobe -q -- NAME". Returns the exit status. */
int hull_modprobe_main(int argc, char **argv);
