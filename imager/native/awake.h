/*
 * Staying awake between a reply and the request that follows from it. A client with one request at a time sends the
 * next one some microseconds after it has its reply; a processor that went to sleep meanwhile takes longer to wake up
 * than all else of a short request. So the event loop looks for a while whether anything came before it waits for that in
 * epoll. It looks for whatever would end its wait, so nobody else is kept waiting by it.
 */
#ifndef BOOTWRIGHT_AWAKE_H
#define BOOTWRIGHT_AWAKE_H

#include <node_api.h>
#include <stdint.h>

struct awake;

/* Has the loop of `env` stay awake after `awake_answered`, as long as there is one; NULL where that cannot be had. */
struct awake *awake_begin(napi_env env);

/* A client was given what it waited for: it is likely to want more at once. */
void awake_answered(struct awake *awake);

/* How often something came while the loop was awake, and how often nothing did. */
int64_t awake_came(const struct awake *awake);
int64_t awake_vain(const struct awake *awake);

#endif
