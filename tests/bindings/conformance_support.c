/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <unistd.h>

#include "conformance.h"

void fail(const char* file, int line, const char* what, const char* got) {
  fprintf(stderr, "%s:%d: Failure\n  %s\n  got: %s\n", file, line, what, got);
  exit(1);
}

void check_ok(const char* file, int line, const char* call, minibox_error* error) {
  if (error == NULL) return;
  fail(file, line, call, minibox_error_message(error));
}

void check_fails(const char* file, int line, const char* call, minibox_error* error, int code,
                 const char* reason) {
  if (error == NULL) fail(file, line, call, "success");
  if (minibox_error_code(error) != code || strcmp(minibox_error_reason(error), reason) != 0) {
    fprintf(stderr, "code %d, reason '%s', field '%s'\n", minibox_error_code(error),
            minibox_error_reason(error), minibox_error_field(error));
    fail(file, line, call, minibox_error_message(error));
  }
  minibox_error_free(error);
}

void buffer_add(struct buffer* buffer, const char* bytes, size_t size) {
  char* grown = realloc(buffer->bytes, buffer->size + size + 1);
  CHECK(grown != NULL);
  memcpy(grown + buffer->size, bytes, size);
  buffer->bytes = grown;
  buffer->size += size;
  grown[buffer->size] = '\0';
}

void buffer_free(struct buffer* buffer) {
  free(buffer->bytes);
  buffer->bytes = NULL;
  buffer->size = 0;
}

int collect(void* user, const char* bytes, size_t size) {
  buffer_add(user, bytes, size);
  return 0;
}

int collect_output(void* user, int stream, const char* bytes, size_t size) {
  (void)stream;
  buffer_add(user, bytes, size);
  return 0;
}

void json_text(const char* json, const char* key, char* out, size_t size) {
  char wanted[64];
  const char* at;
  size_t length = 0;
  snprintf(wanted, sizeof wanted, "\"%s\":\"", key);
  at = strstr(json, wanted);
  if (at == NULL) fail(__FILE__, __LINE__, key, json);
  at += strlen(wanted);
  while (at[length] != '"' && at[length] != '\0' && length + 1 < size) ++length;
  memcpy(out, at, length);
  out[length] = '\0';
}

void open_engine(struct engine* engine, const char* work, const char* base) {
  char root[512], run_dir[512];
  minibox_store_options store = {0};
  minibox_runtime_options runtime = {0};
  int fd = open(base, O_RDONLY | O_CLOEXEC);
  CHECK(fd >= 0);
  engine->work = work;
  snprintf(root, sizeof root, "%s/data", work);
  snprintf(run_dir, sizeof run_dir, "%s/run", work);
  store.struct_size = sizeof store;
  store.root = root;
  OK(minibox_store_open(&store, &engine->store));
  OK(minibox_image_import(engine->store, fd, "busybox", NULL, NULL, NULL));
  close(fd);
  OK(minibox_network_open(engine->store, NULL, &engine->network));
  runtime.struct_size = sizeof runtime;
  runtime.run_dir = run_dir;
  runtime.cgroup_parent = "mbxtest-bindings";
  OK(minibox_runtime_open(engine->store, engine->network, &runtime, &engine->runtime));
  OK(minibox_builder_open(engine->store, engine->runtime, NULL, &engine->builder));
}

/* The order is that of no dependency. */
void close_engine(struct engine* engine) {
  minibox_store_free(engine->store);
  minibox_runtime_free(engine->runtime);
  minibox_network_free(engine->network);
  minibox_builder_free(engine->builder);
}
