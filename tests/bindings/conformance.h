/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the C conformance program share. It is C99 on purpose. */
#ifndef MINIBOX_TESTS_BINDINGS_CONFORMANCE_H_
#define MINIBOX_TESTS_BINDINGS_CONFORMANCE_H_

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "minibox.h"

/* Ends the program with the place and what was there. */
void fail(const char* file, int line, const char* what, const char* got);

#define CHECK(condition)                                             \
  do {                                                               \
    if (!(condition)) fail(__FILE__, __LINE__, #condition, "false"); \
  } while (0)
/* The call succeeds. */
#define OK(call) check_ok(__FILE__, __LINE__, #call, (call))
/* The call fails with that code and reason. */
#define FAILS(code, reason, call) check_fails(__FILE__, __LINE__, #call, (call), (code), (reason))
/* `text` holds `part`. */
#define HAS(text, part)                                                                 \
  do {                                                                                  \
    if (strstr((text), (part)) == NULL) fail(__FILE__, __LINE__, "has " #part, (text)); \
  } while (0)
#define HAS_NOT(text, part)                                                                 \
  do {                                                                                      \
    if (strstr((text), (part)) != NULL) fail(__FILE__, __LINE__, "has not " #part, (text)); \
  } while (0)

void check_ok(const char* file, int line, const char* call, minibox_error* error);
void check_fails(const char* file, int line, const char* call, minibox_error* error, int code,
                 const char* reason);

/* Bytes that callbacks have got, with a NUL behind them. */
struct buffer {
  char* bytes;
  size_t size;
};
void buffer_add(struct buffer* buffer, const char* bytes, size_t size);
void buffer_free(struct buffer* buffer);
int collect(void* user, const char* bytes, size_t size);
int collect_output(void* user, int stream, const char* bytes, size_t size);
/* The text after "<key>":" in `json`, in a buffer of the caller's. */
void json_text(const char* json, const char* key, char* out, size_t size);

struct engine {
  minibox_store* store;
  minibox_network* network;
  minibox_runtime* runtime;
  minibox_builder* builder;
  const char* work;
};
void open_engine(struct engine* engine, const char* work, const char* base);
void close_engine(struct engine* engine);

void test_images(struct engine* engine, const char* base);
void test_lifecycle(struct engine* engine);
void test_foreground(struct engine* engine);
void test_processes(struct engine* engine);
void test_observation(struct engine* engine);
void test_threads(struct engine* engine);
void test_builds(struct engine* engine, const char* base);
void test_networks(struct engine* engine);
void test_compose(struct engine* engine);

#endif /* MINIBOX_TESTS_BINDINGS_CONFORMANCE_H_ */
