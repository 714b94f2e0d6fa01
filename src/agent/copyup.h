/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Copies what is in the directory `from` (O_PATH) into the directory `to`: directories, regular files and symbolic links, with
 * owner and mode. Other kinds are left out. Bounded in depth. 0 or -errno. Source: runc, tmpcopyup.
 */
int hull_copyup(int from, int to);
