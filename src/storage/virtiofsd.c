/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/virtiofsd.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "jail/output.h"

#define HELP_MAX 65536
#define HELP_TIMEOUT_MS 5000

int hull_virtiofsd_parse_help(const char *help, struct hull_virtiofsd_features *ret)
{
	struct hull_virtiofsd_features f = { .rust = strstr(help, "--shared-dir") != NULL };

	if (!strstr(help, "--fd") || (!f.rust && !strstr(help, "-o source=")))
		return -EINVAL;
	f.announce_submounts = strstr(help, f.rust ? "--announce-submounts" : "-o announce_submounts") != NULL;
	f.xattr = strstr(help, f.rust ? "--xattr" : "-o xattr|") != NULL;
	f.posix_acl = strstr(help, f.rust ? "--posix-acl" : "-o posix_acl") != NULL;
	f.killpriv_v2 = strstr(help, f.rust ? "--killpriv-v2" : "-o killpriv_v2") != NULL;
	f.rlimit_nofile = strstr(help, "--rlimit-nofile") != NULL;
	f.thread_pool_size = strstr(help, "--thread-pool-size") != NULL;
	f.sandbox = strstr(help, f.rust ? "--sandbox" : "-o sandbox=") != NULL;
	*ret = f;
	return 0;
}

int hull_virtiofsd_probe(const char *path, struct hull_virtiofsd_features *ret, struct hull_error *err)
{
	char *const argv[] = { (char *)path, (char *)"--help", NULL };
	_cleanup_free_ char *help = NULL;

	int r = hull_spawn_output(path, argv, HELP_MAX, HELP_TIMEOUT_MS, &help, err);
	if (r < 0)
		return r;
	if (hull_virtiofsd_parse_help(help, ret) < 0)
		return hull_error_set(err, ENOTSUP, "%s does not look like a virtiofsd: its --help names neither "
				      "'-o source=' nor '--shared-dir' beside '--fd'", path);
	return 0;
}

/*
 * The options, and why they are so:
 *
 * cache=auto       What the host writes must show in the guest. File contents are checked at each open; names
 *                  and attributes may be up to a second old. `none` would make every stat a round trip, `always`
 *                  would never see the host's changes (a ConfigMap that is updated, a file copied in).
 * xattr, posix_acl As on a local file system: user.* and security.capability work. Access control lists would, but Linux 6.1
 *                  does not hand SB_POSIXACL on to submounts, which is where containers live (docs/oci.md). trusted.*
 *                  stays out: it needs CAP_SYS_ADMIN, which with a guest on the other end is not worth an overlay
 *                  upper layer on a share (those belong on the guest's own tmpfs or disk, or use `userxattr`).
 * modcaps          Left alone: the built-in set (chown, dac_override, fowner, fsetid, setuid, setgid, mknod,
 *                  setfcap) is what the root of a container needs of its file system.
 * flock, posix     Not forwarded. One guest owns the share, its own kernel arbitrates, and a guest cannot wedge
 *                  virtiofsd on a lock that the host holds.
 * killpriv_v2      A write clears set-user-ID and file capabilities, without an extra round trip per write.
 * rlimit-nofile    As many as the caller may have: virtiofsd holds a descriptor for every file that the guest's kernel
 *                  remembers, and a guest that runs out sees EMFILE. Not its default of a million: to raise the hard
 *                  limit needs CAP_SYS_RESOURCE, and virtiofsd ends when it cannot.
 * thread pool 0    Requests run in the queue's own thread: a fifth to a third faster for one reader (64 MiB in 0.20 s, 2,000
 *                  stats in 0.24 s under TCG; with 1 or 4 threads 0.25 s and 0.32 s), no slower for four.
 */
static void add_c_options(const struct hull_virtiofsd_features *f, struct hull_strv *args)
{
	hull_strv_add(args, "-o");
	hull_strv_addf(args, "log_level=warn,cache=auto,timeout=1,no_flock,no_posix_lock%s%s%s%s%s",
		       f->sandbox ? ",sandbox=namespace" : "",
		       f->announce_submounts ? ",announce_submounts" : "",
		       f->xattr ? ",xattr" : "",
		       f->xattr && f->posix_acl ? ",posix_acl" : "",
		       f->killpriv_v2 ? ",killpriv_v2" : "");
}

static void add_rust_options(const struct hull_virtiofsd_features *f, struct hull_strv *args)
{
	hull_strv_add(args, "--log-level=warn");
	hull_strv_add(args, "--cache=auto");
	if (f->sandbox)
		hull_strv_add(args, "--sandbox=namespace");
	if (f->announce_submounts)
		hull_strv_add(args, "--announce-submounts");
	if (f->xattr)
		hull_strv_add(args, "--xattr");
	if (f->posix_acl)
		hull_strv_add(args, "--posix-acl");
	if (f->killpriv_v2)
		hull_strv_add(args, "--killpriv-v2");
}

void hull_virtiofsd_args(const char *path, const struct hull_virtiofsd_features *features, const char *source,
			 int listen_fd, unsigned long open_files, struct hull_strv *ret)
{
	hull_strv_add(ret, path);
	hull_strv_addf(ret, "--fd=%d", listen_fd);
	if (features->rust) {
		hull_strv_addf(ret, "--shared-dir=%s", source);
		add_rust_options(features, ret);
	} else {
		hull_strv_add(ret, "-f");
		hull_strv_add(ret, "-o");
		hull_strv_addf(ret, "source=%s", source);
		add_c_options(features, ret);
	}
	if (features->rlimit_nofile)
		hull_strv_addf(ret, "--rlimit-nofile=%lu", open_files);
	if (features->thread_pool_size)
		hull_strv_add(ret, "--thread-pool-size=0");
}
