/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images as an enemy writes them. The first byte chooses what the rest is: a tar of each kind, two layers (cut at the
 * 16-bit number that follows, in blocks of a tar), or one of an image's documents, whose digests are then made right.
 * Whatever comes, nothing outside of the destination may change.
 */
#include <dirent.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"
#include "image/image.h"
#include "image/unpack.h"

static const struct hull_image_limits limits = { .bytes_max = 8 << 20, .entries_max = 2000, .ratio_max = 1000 };

static char base[64], dest[96], in[96];
static struct stat watched[3];
static const char *const watched_paths[] = { "/", "/tmp", "/etc" };

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void remove_base(void)
{
	hull_rmtree(AT_FDCWD, base);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc HULL_UNUSED, char ***argv HULL_UNUSED)
{
	snprintf(base, sizeof(base), "/dev/shm/hull-fuzz-image-XXXXXX");
	must(mkdtemp(base) != NULL);
	snprintf(dest, sizeof(dest), "%s/dest", base);
	snprintf(in, sizeof(in), "%s/in", base);
	_cleanup_free_ char *canary = hull_asprintf("%s/canary", base);
	must(hull_file_replace(AT_FDCWD, canary, "alive", 5, 0644) == 0);
	for (size_t i = 0; i < HULL_ARRAY_SIZE(watched); i++)
		must(stat(watched_paths[i], &watched[i]) == 0);
	atexit(remove_base);
	return 0;
}

/*
 * Exactly dest, in and the canary are in the base directory, and the system's directories are as they were. Of these,
 * only "/" is left alone by all others, so that its time tells something.
 */
static void check_outside(void)
{
	_cleanup_free_ char *canary = hull_asprintf("%s/canary", base);
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t n = 0;
	DIR *dir = opendir(base);
	must(dir != NULL);
	while (readdir(dir))
		n++;
	closedir(dir);
	must(n == 5);
	must(stat(canary, &st) == 0 && st.st_nlink == 1 && (st.st_mode & 07777) == 0644 && st.st_uid == geteuid());
	must(hull_file_read(AT_FDCWD, canary, 100, &text, NULL) == 0 && strcmp(text, "alive") == 0);
	for (size_t i = 0; i < HULL_ARRAY_SIZE(watched); i++)
		must(stat(watched_paths[i], &st) == 0 && (i > 0 || st.st_mtime == watched[i].st_mtime) &&
		     st.st_mode == watched[i].st_mode && st.st_uid == watched[i].st_uid);
}

static void fresh_dest(void)
{
	must(hull_rmtree(AT_FDCWD, dest) == 0);
	must(mkdir(dest, 0755) == 0);
}

static void unpack(enum hull_image_kind kind)
{
	struct hull_image_config config = { 0 };
	struct hull_error err = HULL_ERROR_INIT;
	fresh_dest();
	int r = hull_image_unpack(in, kind, NULL, dest, &limits, NULL, NULL, &config, &err);
	must((r < 0) == (err.code > 0) && (r == 0 || err.message[0]));
	hull_image_config_clear(&config);
	check_outside();
}

static void fuzz_tar(const uint8_t *data, size_t size, enum hull_image_kind kind)
{
	enum hull_image_kind detected;
	must(hull_file_replace(AT_FDCWD, in, data, size, 0600) == 0);
	(void)hull_image_detect(in, &detected, NULL);
	unpack(kind);
}

static void unpack_layer(struct hull_image_tree *tree, struct hull_image_budget *budget, const uint8_t *data, size_t size)
{
	_cleanup_(hull_image_blob_close) struct hull_image_blob blob = HULL_IMAGE_BLOB_INIT;
	struct hull_error err = HULL_ERROR_INIT;
	must(hull_file_replace(AT_FDCWD, in, data, size, 0600) == 0);
	must(hull_image_blob_from_fd(open(in, O_RDONLY | O_CLOEXEC), &blob) == 0);
	(void)hull_image_unpack_layer(tree, &blob, budget, false, &err);
}

static void fuzz_layers(const uint8_t *data, size_t size)
{
	struct hull_image_budget budget = { .limits = limits };
	struct hull_image_tree tree = HULL_IMAGE_TREE_INIT;
	if (size < 2)
		return;
	size_t cut = ((size_t)data[0] | (size_t)data[1] << 8) * 512;
	data += 2;
	size -= 2;
	cut = cut > size ? size : cut;
	fresh_dest();
	must(hull_image_tree_open(dest, &tree) == 0);
	unpack_layer(&tree, &budget, data, cut);
	unpack_layer(&tree, &budget, data + cut, size - cut);
	hull_image_tree_close(&tree);
	check_outside();
}

/* Writes a blob and returns a descriptor of it. */
static char *put_blob(const char *type, const void *data, size_t size)
{
	struct sha256_ctx ctx;
	uint8_t sum[SHA256_DIGEST_SIZE];
	char hex[65];
	sha256_init(&ctx);
	sha256_update(&ctx, size, data);
	sha256_digest(&ctx, sizeof(sum), sum);
	for (size_t i = 0; i < sizeof(sum); i++)
		snprintf(hex + 2 * i, 3, "%02x", sum[i]);
	_cleanup_free_ char *path = hull_asprintf("%s/blobs/sha256/%s", in, hex);
	must(hull_file_replace(AT_FDCWD, path, data, size, 0600) == 0);
	return hull_asprintf("{\"mediaType\":\"application/vnd.oci.image.%s\",\"digest\":\"sha256:%s\",\"size\":%zu}", type,
			     hex, size);
}

static void put_file(const char *name, const void *data, size_t size)
{
	_cleanup_free_ char *path = hull_asprintf("%s/%s", in, name);
	must(hull_file_replace(AT_FDCWD, path, data, size, 0600) == 0);
}

/* Makes a layout of which `document` ('i' index, 'm' manifest, 'c' configuration, 'd' Docker's manifest) is the input. */
static void fuzz_document(const uint8_t *data, size_t size, char document)
{
	_cleanup_free_ char *blobs = hull_asprintf("%s/blobs/sha256", in);
	must(hull_mkdir_p(blobs, 0700) == 0);
	_cleanup_free_ char *config = document == 'c' ? put_blob("config.v1+json", data, size)
						      : put_blob("config.v1+json", "{}", 2);
	_cleanup_free_ char *made = hull_asprintf("{\"config\":%s,\"layers\":[]}", config);
	_cleanup_free_ char *manifest = document == 'm' ? put_blob("manifest.v1+json", data, size)
							: put_blob("manifest.v1+json", made, strlen(made));
	_cleanup_free_ char *index = hull_asprintf("{\"manifests\":[%s]}", manifest);
	put_file("oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}", 30);
	if (document == 'i')
		put_file("index.json", data, size);
	else
		put_file("index.json", index, strlen(index));
	put_file("manifest.json", data, size);
	unpack(document == 'd' ? HULL_IMAGE_DOCKER_ARCHIVE : HULL_IMAGE_OCI_LAYOUT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char choices[] = "roDlimcd";
	if (size == 0 || size > 1 << 20)
		return 0;
	char choice = choices[data[0] % (sizeof(choices) - 1)];
	data++;
	size--;
	must(hull_rmtree(AT_FDCWD, in) == 0);
	if (choice == 'r')
		fuzz_tar(data, size, HULL_IMAGE_ROOTFS_TAR);
	else if (choice == 'o')
		fuzz_tar(data, size, HULL_IMAGE_OCI_ARCHIVE);
	else if (choice == 'D')
		fuzz_tar(data, size, HULL_IMAGE_DOCKER_ARCHIVE);
	else if (choice == 'l')
		fuzz_layers(data, size);
	else
		fuzz_document(data, size, choice);
	return 0;
}
