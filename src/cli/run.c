/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/run.h"

#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/console.h"
#include "cli/session.h"
#include "pod/state.h"

/* Says why, when the container did not end by itself. */
static void explain_end(const struct hull_cli *cli, const char *id, struct hull_error *err)
{
	struct hull_state *state = NULL;
	if (err->code || hull_state_load(cli->root, id, NULL, &state, NULL) < 0)
		return;
	if (state->lost)
		hull_error_set(err, EIO, "container %s ended with its VM: %s", id, state->lost);
	hull_state_free(state);
}

static int attend(const struct hull_cli *cli, const char *id, int socket, bool terminal, struct hull_error *err)
{
	struct hull_session session;
	struct termios saved;
	if (hull_session_begin(&session, socket, terminal ? STDIN_FILENO : -1, err) < 0)
		return HULL_EXIT_FAILURE;
	_cleanup_close_ int signal_fd = session.signal_fd;
	(void)signal_fd;
	/* Before the program runs: its first output is for a raw terminal already. */
	bool raw = terminal && hull_console_raw(STDIN_FILENO, &saved);
	int code = hull_start(cli, id, err) < 0 ? hull_cli_exit_code(err) : hull_session_run(&session, err);
	if (raw)
		hull_console_restore(STDIN_FILENO, &saved);
	explain_end(cli, id, err);
	return code;
}

int hull_run(const struct hull_cli *cli, const char *id, const struct hull_create_options *options, bool keep,
	     struct hull_error *err)
{
	struct hull_created created;
	bool over = false;
	int code = HULL_EXIT_OK;

	if (hull_create(cli, id, options, &created, err) < 0)
		return hull_cli_exit_code(err);
	_cleanup_close_ int dirfd = created.dirfd;
	_cleanup_close_ int socket = created.session_fd;
	if (options->foreground) {
		code = attend(cli, id, socket, created.terminal, err);
		over = true;
	} else if (hull_start(cli, id, err) < 0) {
		code = hull_cli_exit_code(err);
		over = true;
		keep = false;
	}
	/* In the foreground the container is over; in the background only one that could not be started goes. */
	if (over && !keep) {
		struct hull_error delete_err = HULL_ERROR_INIT;
		if (hull_delete_own(cli, id, dirfd, &delete_err) < 0)
			hull_log_warning("delete %s: %s", id, delete_err.message);
	}
	return code;
}
