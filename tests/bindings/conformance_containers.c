/* SPDX-License-Identifier: Apache-2.0 */
/* Containers and processes of the C conformance program. */
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "conformance.h"

#define QUIET "\"network\": \"none\""
#define SLEEPER "{\"image\": \"busybox\", \"command\": [\"sleep\", \"1000\"], " QUIET "}"

/* Starts `spec_json` in the background; its id goes to `id`. */
static void run(struct engine* engine, const char* spec_json, char* id, size_t size) {
  char* json = NULL;
  OK(minibox_container_run(engine->runtime, spec_json, NULL, &json));
  json_text(json, "id", id, size);
  minibox_string_free(json);
}

static void expect_status(struct engine* engine, const char* id, const char* status) {
  char* json = NULL;
  char now[32];
  OK(minibox_container_get(engine->runtime, id, &json));
  json_text(json, "status", now, sizeof now);
  if (strcmp(now, status) != 0) fail(__FILE__, __LINE__, status, json);
  minibox_string_free(json);
}

void test_lifecycle(struct engine* engine) {
  minibox_runtime* runtime = engine->runtime;
  minibox_stop_options stop = {0};
  minibox_wait_options wait = {0};
  minibox_container_prune_options prune = {0};
  minibox_exit end = {0};
  char id[32];
  char* json = NULL;
  int outcome = -1;
  stop.struct_size = sizeof stop;
  wait.struct_size = sizeof wait;
  prune.struct_size = sizeof prune;
  end.struct_size = sizeof end;

  OK(minibox_container_create(runtime,
                              "{\"image\": \"busybox\", \"name\": \"life\", \"command\": "
                              "[\"sleep\", \"1000\"], " QUIET "}",
                              &json));
  json_text(json, "id", id, sizeof id);
  minibox_string_free(json);
  expect_status(engine, "life", "created");
  OK(minibox_container_start(runtime, "life", NULL, NULL));
  expect_status(engine, id, "running");
  FAILS(MINIBOX_FAILED_PRECONDITION, "container_running", minibox_container_remove(runtime, id, 0));
  wait.timeout_ms = 1;
  FAILS(MINIBOX_DEADLINE_EXCEEDED, "timeout",
        minibox_container_wait(runtime, id, &wait, NULL, NULL, NULL));

  OK(minibox_container_pause(runtime, id));
  expect_status(engine, id, "paused");
  OK(minibox_container_unpause(runtime, id));
  OK(minibox_container_rename(runtime, id, "lives"));
  OK(minibox_container_update(runtime, "lives", "{\"pids_limit\": 100}"));
  FAILS(MINIBOX_INVALID_ARGUMENT, "invalid_request",
        minibox_container_update(runtime, "lives", "{\"pids_limit\": \"many\"}"));
  OK(minibox_container_inspect(runtime, "lives", 1, &json));
  HAS(json, "\"pids\":100");
  HAS(json, "\"size_rw\":");
  minibox_string_free(json);

  stop.has_grace = 1; /* of nothing */
  OK(minibox_container_stop(runtime, id, &stop, NULL, &outcome));
  CHECK(outcome == 1);
  OK(minibox_container_stop(runtime, id, &stop, NULL, &outcome));
  CHECK(outcome == 2);
  wait.timeout_ms = 0;
  OK(minibox_container_wait(runtime, id, &wait, NULL, &end, &json));
  CHECK(end.code == 128 + SIGKILL && end.signal == SIGKILL && strcmp(end.reason, "signal") == 0);
  HAS(json, "\"status\":\"exited\"");
  minibox_string_free(json);
  OK(minibox_container_restart(runtime, id, &stop, NULL, NULL));
  OK(minibox_container_kill(runtime, id, 0));
  OK(minibox_container_prune(runtime, &prune, &json));
  HAS(json, id);
  minibox_string_free(json);
  FAILS(MINIBOX_NOT_FOUND, "container_not_found", minibox_container_get(runtime, id, NULL));

  FAILS(MINIBOX_NOT_FOUND, "image_not_found",
        minibox_container_create(runtime, "{\"image\": \"nothing\", \"command\": [\"a\"]}", NULL));
  FAILS(MINIBOX_INVALID_ARGUMENT, "invalid_request",
        minibox_container_create(runtime, "{\"image\": \"busybox\", \"comand\": [\"a\"]}", NULL));
  FAILS(MINIBOX_INVALID_ARGUMENT, "command_not_found",
        minibox_container_run(
            runtime, "{\"image\": \"busybox\", \"command\": [\"/none\"], " QUIET "}", NULL, NULL));
  puts("ok lifecycle");
}

struct nested {
  struct engine* engine;
  struct buffer output;
  char started[2048];
  int calls;
};

/* Calls the library from inside its own call. */
static int look_around(void* user, int stream, const char* bytes, size_t size) {
  struct nested* nested = user;
  char* json = NULL;
  (void)stream;
  ++nested->calls;
  buffer_add(&nested->output, bytes, size);
  OK(minibox_container_list(nested->engine->runtime, &json));
  HAS(json, "\"busybox\"");
  minibox_string_free(json);
  return 0;
}

static int keep_start(void* user, const char* json, size_t size) {
  struct nested* nested = user;
  CHECK(nested->calls == 0 && size > 0);
  snprintf(nested->started, sizeof nested->started, "%s", json);
  return 0;
}

static int refuse(void* user, int stream, const char* bytes, size_t size) {
  (void)stream;
  (void)bytes;
  (void)size;
  ++*(int*)user;
  return 1;
}

static int request(void* user, int stream, const char* bytes, size_t size) {
  (void)stream;
  (void)bytes;
  (void)size;
  minibox_cancel_request(user);
  return 0;
}

void test_foreground(struct engine* engine) {
  minibox_runtime* runtime = engine->runtime;
  minibox_run_options options = {0};
  minibox_exit end = {0};
  minibox_cancel* cancel;
  struct nested nested = {0};
  int calls = 0;
  char* json = NULL;
  nested.engine = engine;
  options.struct_size = sizeof options;
  end.struct_size = sizeof end;
  options.output = look_around;
  options.started = keep_start;
  options.user = &nested;
  OK(minibox_container_run_foreground(
      runtime,
      "{\"image\": \"busybox\", \"command\": [\"sh\", \"-c\", \"echo out; echo err >&2; exit 7\"], "
      "\"rm\": true, \"memory\": 64, " QUIET "}",
      &options, NULL, &end));
  CHECK(end.code == 7 && end.signal == 0 && strcmp(end.reason, "exited") == 0);
  HAS(nested.output.bytes, "out\n");
  HAS(nested.output.bytes, "err\n");
  HAS(nested.started, "\"status\":\"running\"");
  buffer_free(&nested.output);

  OK(minibox_container_run_foreground(
      runtime,
      "{\"image\": \"busybox\", \"command\": [\"sleep\", \"1000\"], \"timeout\": 0.2, "
      "\"rm\": true, " QUIET "}",
      NULL, NULL, &end));
  CHECK(strcmp(end.reason, "timeout") == 0);

  options.started = NULL;
  options.output = refuse;
  options.user = &calls;
  FAILS(MINIBOX_CANCELLED, "callback_stopped",
        minibox_container_run_foreground(
            runtime, "{\"image\": \"busybox\", \"command\": [\"yes\"], \"rm\": true, " QUIET "}",
            &options, NULL, &end));
  CHECK(calls == 1);
  cancel = minibox_cancel_new();
  options.output = request;
  options.user = cancel;
  FAILS(MINIBOX_CANCELLED, "",
        minibox_container_run_foreground(
            runtime, "{\"image\": \"busybox\", \"command\": [\"yes\"], \"rm\": true, " QUIET "}",
            &options, cancel, &end));
  minibox_cancel_free(cancel);
  /* Both were killed and removed. */
  OK(minibox_container_list(runtime, &json));
  CHECK(strcmp(json, "{}") == 0);
  minibox_string_free(json);
  puts("ok foreground");
}

void test_processes(struct engine* engine) {
  minibox_runtime* runtime = engine->runtime;
  minibox_process* process = NULL;
  minibox_exit end = {0};
  struct buffer output = {0};
  char id[32], exec[256];
  end.struct_size = sizeof end;

  OK(minibox_process_run(runtime,
                         "{\"image\": \"busybox\", \"command\": [\"cat\"], \"interactive\": true, "
                         "\"tty\": false, \"rm\": true, " QUIET "}",
                         NULL, NULL, &process));
  OK(minibox_process_write(process, "spoken\n", 7, NULL));
  FAILS(MINIBOX_FAILED_PRECONDITION, "no_terminal", minibox_process_resize(process, 10, 10));
  FAILS(MINIBOX_INVALID_ARGUMENT, "invalid_argument", minibox_process_resize(process, 0, 10));
  OK(minibox_process_close_stdin(process));
  OK(minibox_process_wait(process, collect_output, &output, NULL, &end));
  CHECK(end.code == 0 && strcmp(output.bytes, "spoken\n") == 0);
  minibox_process_free(process);
  buffer_free(&output);

  run(engine, SLEEPER, id, sizeof id);
  snprintf(exec, sizeof exec,
           "{\"id\": \"%s\", \"command\": [\"sh\", \"-c\", \"read line; echo got $line; exit 3\"], "
           "\"interactive\": true, \"tty\": true}",
           id);
  OK(minibox_process_exec(runtime, exec, NULL, &process));
  OK(minibox_process_resize(process, 30, 90));
  OK(minibox_process_write(process, "word\n", 5, NULL));
  OK(minibox_process_wait(process, collect_output, &output, NULL, &end));
  CHECK(end.code == 3);
  HAS(output.bytes, "got word");
  minibox_process_free(process);
  buffer_free(&output);

  snprintf(exec, sizeof exec, "{\"id\": \"%s\", \"command\": [\"sleep\", \"1000\"]}", id);
  OK(minibox_process_exec(runtime, exec, NULL, &process));
  OK(minibox_process_signal(process, SIGTERM));
  OK(minibox_process_wait(process, NULL, NULL, NULL, &end));
  CHECK(end.signal == SIGTERM && end.code == 128 + SIGTERM);
  minibox_process_free(process);
  /* One that has not ended ends with its handle. */
  OK(minibox_process_exec(runtime, exec, NULL, &process));
  minibox_process_free(process);
  snprintf(exec, sizeof exec, "{\"id\": \"%s\", \"command\": []}", id);
  FAILS(MINIBOX_INVALID_ARGUMENT, "missing_argument",
        minibox_process_exec(runtime, exec, NULL, &process));
  OK(minibox_container_remove(runtime, id, 1));

  OK(minibox_container_create(
      runtime,
      "{\"image\": \"busybox\", \"name\": \"late\", \"command\": [\"sh\", \"-c\", "
      "\"echo first; read a; echo $a\"], \"interactive\": true, \"tty\": false, " QUIET "}",
      NULL));
  OK(minibox_process_start(runtime, "late", NULL, &process));
  {
    minibox_process* other = NULL;
    OK(minibox_process_attach(runtime, "late", 1, &other));
    OK(minibox_process_write(other, "second\n", 7, NULL));
    OK(minibox_process_wait(process, NULL, NULL, NULL, &end));
    OK(minibox_process_wait(other, collect_output, &output, NULL, &end));
    minibox_process_free(other);
  }
  CHECK(strcmp(output.bytes, "first\nsecond\n") == 0);
  minibox_process_free(process);
  buffer_free(&output);
  OK(minibox_container_remove(runtime, "late", 0));
  puts("ok processes");
}

/* Out of the container "seen" and in again. */
static void test_copies(struct engine* engine) {
  minibox_runtime* runtime = engine->runtime;
  struct buffer tar = {0};
  char* json = NULL;
  char path[512];
  FILE* file = tmpfile();
  CHECK(file != NULL);
  OK(minibox_container_stat(runtime, "seen", "/made", 0, &json));
  HAS(json, "\"name\":\"made\",\"size\":5");
  minibox_string_free(json);
  FAILS(MINIBOX_NOT_FOUND, "path_not_found",
        minibox_container_stat(runtime, "seen", "/nothing", 0, NULL));
  OK(minibox_container_copy_out(runtime, "seen", "/made", 0, collect, &tar, NULL));
  CHECK(fwrite(tar.bytes, 1, tar.size, file) == tar.size && fflush(file) == 0);
  CHECK(lseek(fileno(file), 0, SEEK_SET) == 0);
  OK(minibox_container_copy_in(runtime, "seen", "/tmp", fileno(file), 0, NULL));
  OK(minibox_container_stat(runtime, "seen", "/tmp/made", 0, NULL));
  CHECK(lseek(fileno(file), 0, SEEK_SET) == 0);
  OK(minibox_tree_unpack(fileno(file), engine->work, "here", 0, NULL));
  snprintf(path, sizeof path, "%s/here", engine->work);
  CHECK(access(path, R_OK) == 0);
  buffer_free(&tar);
  OK(minibox_tree_pack(path, "there", 0, collect, &tar, NULL));
  CHECK(memmem(tar.bytes, tar.size, "there", 5) != NULL);
  buffer_free(&tar);
  fclose(file);
}

/* Ends the stream at the second event. */
static int two_events(void* user, const char* event, size_t size) {
  struct buffer* seen = user;
  buffer_add(seen, event, size);
  buffer_add(seen, "\n", 1);
  return strstr(seen->bytes, "container.die") != NULL;
}

void test_observation(struct engine* engine) {
  minibox_runtime* runtime = engine->runtime;
  minibox_log_options logs = {0};
  minibox_event_options events = {0};
  minibox_commit_options commit = {0};
  struct buffer output = {0};
  const char* const families[] = {"container"};
  const char* const changes[] = {"ENV MADE=here"};
  char id[32];
  char* json = NULL;
  logs.struct_size = sizeof logs;
  events.struct_size = sizeof events;
  commit.struct_size = sizeof commit;

  run(engine,
      "{\"image\": \"busybox\", \"name\": \"seen\", \"command\": [\"sh\", \"-c\", "
      "\"echo one; echo two >&2; echo mine > /made; echo three; exec sleep 1000\"], " QUIET "}",
      id, sizeof id);
  logs.follow = 1;
  logs.until_exit = 1;
  {
    /* Until the third line is there. */
    struct buffer seen = {0};
    minibox_log_options first = logs;
    first.until_exit = 0;
    first.follow = 0;
    while (seen.bytes == NULL || strstr(seen.bytes, "three\n") == NULL) {
      buffer_free(&seen);
      OK(minibox_container_logs(runtime, "seen", &first, collect_output, &seen, NULL));
    }
    buffer_free(&seen);
  }
  OK(minibox_container_stats(runtime, "seen", &json));
  HAS(json, "\"memory_usage\":");
  minibox_string_free(json);
  OK(minibox_container_stats(runtime, NULL, &json));
  CHECK(json[0] == '[');
  HAS(json, id);
  minibox_string_free(json);
  OK(minibox_container_top(runtime, "seen", &json));
  HAS(json, "sleep 1000");
  minibox_string_free(json);
  OK(minibox_container_health(runtime, "seen", &json));
  HAS(json, "\"probes\":[]");
  minibox_string_free(json);
  OK(minibox_container_diff(runtime, "seen", &json));
  HAS(json, "/made");
  minibox_string_free(json);
  OK(minibox_container_export(runtime, "seen", collect, &output, NULL));
  CHECK(output.size > 10240);
  buffer_free(&output);
  test_copies(engine);
  commit.changes = changes;
  commit.change_count = 1;
  OK(minibox_container_commit(runtime, "seen", "made:1", &commit, NULL, &json));
  HAS(json, "made:1");
  minibox_string_free(json);
  OK(minibox_image_inspect(engine->store, "made:1", NULL, &json));
  HAS(json, "MADE=here");
  minibox_string_free(json);
  OK(minibox_container_kill(runtime, "seen", SIGKILL));

  OK(minibox_container_logs(runtime, "seen", &logs, collect_output, &output, NULL));
  HAS(output.bytes, "one\n");
  HAS(output.bytes, "two\n");
  buffer_free(&output);
  logs.stream = MINIBOX_STDERR;
  OK(minibox_container_logs(runtime, "seen", &logs, collect_output, &output, NULL));
  CHECK(strcmp(output.bytes, "two\n") == 0);
  buffer_free(&output);
  logs.stream = MINIBOX_STDOUT;
  logs.has_tail = 1;
  logs.tail_lines = 1;
  OK(minibox_container_logs(runtime, "seen", &logs, collect_output, &output, NULL));
  CHECK(strcmp(output.bytes, "three\n") == 0);
  buffer_free(&output);
  logs.since = "no time";
  FAILS(MINIBOX_INVALID_ARGUMENT, "invalid_argument",
        minibox_container_logs(runtime, "seen", &logs, collect_output, &output, NULL));

  events.since = "1h";
  events.types = families;
  events.type_count = 1;
  events.containers = (const char* const[]){"seen"};
  events.container_count = 1;
  FAILS(MINIBOX_CANCELLED, "callback_stopped",
        minibox_events(runtime, &events, two_events, &output, NULL));
  HAS(output.bytes, "\"container.start\"");
  HAS(output.bytes, "\"container.die\"");
  buffer_free(&output);
  OK(minibox_announce(runtime, "program.ready", "me", "{\"a\": \"b\"}"));
  FAILS(MINIBOX_INVALID_ARGUMENT, "invalid_argument",
        minibox_announce(runtime, "Ready", NULL, NULL));
  OK(minibox_container_remove(runtime, "seen", 0));
  OK(minibox_image_remove(engine->store, "made:1", 0, NULL));
  OK(minibox_system_info(runtime, &json));
  HAS(json, "\"kernel\":");
  minibox_string_free(json);
  puts("ok observation");
}

enum { kThreads = 8, kRuns = 3, kManyRuns = 20 };

static int open_descriptors(void) {
  int count = 0;
  DIR* dir = opendir("/proc/self/fd");
  CHECK(dir != NULL);
  while (readdir(dir) != NULL) ++count;
  closedir(dir);
  return count;
}

/* Runs that are over hold no descriptor, but for monitors that were still ending. */
static void test_descriptors(struct engine* engine) {
  int before = open_descriptors();
  int i;
  for (i = 0; i < kManyRuns; ++i) {
    minibox_process* process = NULL;
    OK(minibox_process_run(engine->runtime,
                           "{\"image\": \"busybox\", \"command\": [\"true\"], \"rm\": true, " QUIET
                           "}",
                           NULL, NULL, &process));
    OK(minibox_process_wait(process, NULL, NULL, NULL, NULL));
    minibox_process_free(process);
  }
  CHECK(open_descriptors() < before + kManyRuns / 2);
}

static void* run_often(void* user) {
  struct engine* engine = user;
  int i;
  for (i = 0; i < kRuns; ++i) {
    minibox_run_options options = {0};
    minibox_exit end = {0};
    struct buffer output = {0};
    options.struct_size = sizeof options;
    end.struct_size = sizeof end;
    options.output = collect_output;
    options.user = &output;
    OK(minibox_container_run_foreground(
        engine->runtime,
        "{\"image\": \"busybox\", \"command\": [\"echo\", \"hello\"], \"rm\": true, " QUIET "}",
        &options, NULL, &end));
    CHECK(end.code == 0 && strcmp(output.bytes, "hello\n") == 0);
    buffer_free(&output);
  }
  return NULL;
}

static void* wait_for_it(void* user) {
  void** parts = user;
  FAILS(MINIBOX_CANCELLED, "",
        minibox_container_wait(parts[0], parts[1], NULL, parts[2], NULL, NULL));
  return NULL;
}

void test_threads(struct engine* engine) {
  pthread_t threads[kThreads];
  void* parts[3];
  char id[32];
  int i;
  test_descriptors(engine);
  for (i = 0; i < kThreads; ++i) {
    CHECK(pthread_create(&threads[i], NULL, run_often, engine) == 0);
  }
  for (i = 0; i < kThreads; ++i) CHECK(pthread_join(threads[i], NULL) == 0);

  /* Another thread ends the wait. */
  run(engine, SLEEPER, id, sizeof id);
  parts[0] = engine->runtime;
  parts[1] = id;
  parts[2] = minibox_cancel_new();
  CHECK(pthread_create(&threads[0], NULL, wait_for_it, parts) == 0);
  minibox_cancel_request(parts[2]);
  CHECK(pthread_join(threads[0], NULL) == 0);
  minibox_cancel_free(parts[2]);
  expect_status(engine, id, "running");
  OK(minibox_container_remove(engine->runtime, id, 1));
  puts("ok threads");
}
