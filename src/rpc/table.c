/* SPDX-License-Identifier: Apache-2.0 */
/* What is open on a connection: found by id, ended in the order of opening. */
#include <assert.h>

#include "rpc/internal.h"

/* Ids of one side are all odd (or all even), so the lowest bit says nothing. */
static struct hull_entry **bucket_of(const struct hull_table *table, uint32_t id)
{
	return (struct hull_entry **)&table->buckets[(id >> 1) % HULL_TABLE_BUCKETS];
}

/* `id` is higher than that of every entry before; the entry is borrowed. */
void hull_table_add(struct hull_table *table, struct hull_entry *entry, uint32_t id)
{
	assert(!entry->table);
	struct hull_entry **bucket = bucket_of(table, id);

	entry->id = id;
	entry->table = table;
	entry->chain = *bucket;
	*bucket = entry;
	entry->prev = table->last;
	entry->next = NULL;
	*(table->last ? &table->last->next : &table->first) = entry;
	table->last = entry;
	table->count++;
}

/* NULL when there is none. */
struct hull_entry *hull_table_find(const struct hull_table *table, uint32_t id)
{
	struct hull_entry *entry = *bucket_of(table, id);
	while (entry && entry->id != id)
		entry = entry->chain;
	return entry;
}

/* The entry itself is not freed. */
void hull_table_remove(struct hull_entry *entry)
{
	struct hull_table *table = entry->table;
	if (!table)
		return;

	struct hull_entry **link = bucket_of(table, entry->id);
	while (*link != entry)
		link = &(*link)->chain;
	*link = entry->chain;
	*(entry->prev ? &entry->prev->next : &table->first) = entry->next;
	*(entry->next ? &entry->next->prev : &table->last) = entry->prev;
	table->count--;
	entry->table = NULL;
}

/* Entries that the callbacks add have higher ids and are left alone, so this ends. */
void hull_table_lose(struct hull_table *table, uint32_t last_id, enum hull_rpc_code code, const char *reason)
{
	while (table->first && table->first->id <= last_id) {
		struct hull_entry *entry = table->first;
		hull_table_remove(entry);
		entry->ops->on_lost(entry, code, reason);
	}
}
