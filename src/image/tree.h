/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory that the layers are laid into. Every path is resolved by the kernel as if that directory were "/", so
 * that a symbolic link, whoever made it, leads to somewhere below it; the last component is never followed.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct hull_image_tree {
	int root;            /* owned */
	unsigned depth;      /* of the root itself, in the host's file system */
	void *written;       /* tsearch: the names that the present layer has made */
};

#define HULL_IMAGE_TREE_INIT { .root = -1 }

/* A name in a directory. */
struct hull_image_place {
	int parent;          /* owned O_PATH fd */
	ino_t parent_ino;
	const char *name;    /* borrowed from the path */
};

#define HULL_IMAGE_PLACE_INIT { .parent = -1 }

/* Opens the directory `dest`. -ENOTEMPTY when something is in it. */
int hull_image_tree_open(const char *dest, struct hull_image_tree *ret);

/* Frees and closes; what was closed may be closed again. */
void hull_image_tree_close(struct hull_image_tree *tree);

/* Forgets what was written: it belongs to a lower layer from now on. */
void hull_image_tree_next_layer(struct hull_image_tree *tree);

/*
 * Finds the directory of `path` (clean, not ""), which must outlive `ret`. With `make`, missing ones are made, mode
 * 0755. -ENOENT, -ENOTDIR, -ELOOP; -ENAMETOOLONG when links lead deeper than any path of an archive may.
 */
int hull_image_tree_place(const struct hull_image_tree *tree, const char *path, bool make, struct hull_image_place *ret);

void hull_image_place_close(struct hull_image_place *place);

/*
 * Makes room for something new at `place` and notes it as written by this layer. What was there is removed, unless
 * it is a directory and a directory is to come: then `*ret_there` is true and it stays.
 */
int hull_image_tree_claim(struct hull_image_tree *tree, const struct hull_image_place *place, bool directory,
			  bool *ret_there);

/* Removes what lower layers have at `place`: what this layer wrote, and the directories to it, stay. */
int hull_image_tree_whiteout(const struct hull_image_tree *tree, const struct hull_image_place *place);

/* The same for all that is in the directory of `place`. */
int hull_image_tree_opaque(const struct hull_image_tree *tree, const struct hull_image_place *place);
