/* SPDX-License-Identifier: Apache-2.0 */
/* Images, builds, networks and compose projects of the C conformance program. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conformance.h"

static void write_file(const char* path, const char* text) {
  FILE* file = fopen(path, "w");
  CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void copy_file(const char* from, const char* to) {
  char bytes[65536];
  size_t size;
  FILE* in = fopen(from, "r");
  FILE* out = fopen(to, "w");
  CHECK(in != NULL && out != NULL);
  while ((size = fread(bytes, 1, sizeof bytes, in)) > 0) CHECK(fwrite(bytes, 1, size, out) == size);
  CHECK(fclose(in) == 0 && fclose(out) == 0);
}

void test_images(struct engine* engine, const char* base) {
  minibox_store* store = engine->store;
  minibox_store* other = NULL;
  minibox_store_options options = {0};
  const char* const names[] = {"busybox", "copy:2"};
  char root[512], archive[512], path[64];
  char* json = NULL;
  int fd;
  (void)base;
  options.struct_size = sizeof options;
  snprintf(root, sizeof root, "%s/other", engine->work);
  snprintf(archive, sizeof archive, "%s/images.tar", engine->work);
  options.root = root;
  options.must_exist = 1;
  FAILS(MINIBOX_NOT_FOUND, "", minibox_store_open(&options, &other));
  options.must_exist = 0;
  OK(minibox_store_open(&options, &other));
  OK(minibox_image_tag(store, "busybox", "copy:2"));
  fd = open(archive, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  CHECK(fd >= 0);
  OK(minibox_image_save(store, names, 2, fd, NULL, NULL));
  CHECK(lseek(fd, 0, SEEK_SET) == 0);
  OK(minibox_image_load(other, fd, NULL, NULL, NULL, &json));
  HAS(json, "copy:2");
  minibox_string_free(json);
  close(fd);
  OK(minibox_store_verify(other, NULL, &json));
  HAS(json, "\"problems\":[]");
  minibox_string_free(json);
  OK(minibox_store_root(other, &json));
  snprintf(path, sizeof path, "/other");
  HAS(json, path);
  minibox_string_free(json);
  minibox_store_free(other);
  OK(minibox_image_remove(store, "copy:2", 0, NULL));
  puts("ok images");
}

void test_builds(struct engine* engine, const char* base) {
  char context[512], path[600], request[2048];
  char* json = NULL;
  struct buffer lines = {0};
  snprintf(context, sizeof context, "%s/context", engine->work);
  CHECK(mkdir(context, 0755) == 0);
  snprintf(path, sizeof path, "%s/base.tar.gz", context);
  copy_file(base, path);
  OK(minibox_build_check("BASE scratch\nRNU x\n", &json));
  HAS(json, "\"severity\":\"error\"");
  minibox_string_free(json);
  snprintf(request, sizeof request,
           "{\"image\": \"built\", \"context\": \"%s\", \"network\": \"none\", \"minibox\": "
           "\"BASE base.tar.gz\\nBLOCK a\\n  RUN echo built > /result\\n  START cat /result\\n\"}",
           context);
  OK(minibox_builder_plan(engine->builder, request, NULL, &json));
  HAS(json, "RUN echo built");
  minibox_string_free(json);
  OK(minibox_builder_build(engine->builder, request, collect, &lines, NULL, &json));
  HAS(json, "\"built\"");
  CHECK(lines.size > 0);
  minibox_string_free(json);
  buffer_free(&lines);
  {
    minibox_run_options options = {0};
    minibox_exit end = {0};
    options.struct_size = sizeof options;
    options.output = collect_output;
    options.user = &lines;
    end.struct_size = sizeof end;
    OK(minibox_container_run_foreground(
        engine->runtime, "{\"image\": \"built\", \"rm\": true, \"network\": \"none\"}", &options,
        NULL, &end));
    CHECK(end.code == 0 && strcmp(lines.bytes, "built\n") == 0);
    buffer_free(&lines);
  }
  FAILS(MINIBOX_INVALID_ARGUMENT, "invalid_build_file",
        minibox_builder_build(engine->builder,
                              "{\"image\": \"x\", \"context\": \"/\", \"minibox\": \"RNU x\"}",
                              NULL, NULL, NULL, NULL));
  OK(minibox_image_remove(engine->store, "built", 0, NULL));
  puts("ok builds");
}

void test_networks(struct engine* engine) {
  minibox_network* network = engine->network;
  char* json = NULL;
  OK(minibox_network_ensure_default(network, &json));
  HAS(json, "\"name\":\"bridge\"");
  minibox_string_free(json);
  OK(minibox_network_create(network,
                            "{\"name\": \"apart\", \"internal\": true, \"labels\": "
                            "{\"of\": \"mine\"}}",
                            &json));
  HAS(json, "\"internal\":true");
  minibox_string_free(json);
  FAILS(MINIBOX_FAILED_PRECONDITION, "name_in_use",
        minibox_network_create(network, "{\"name\": \"apart\"}", NULL));
  FAILS(MINIBOX_INVALID_ARGUMENT, "invalid_argument",
        minibox_network_create(network, "{\"name\": \"other\", \"subnet\": \"nonsense\"}", NULL));
  OK(minibox_network_list(network, &json));
  HAS(json, "\"apart\"");
  minibox_string_free(json);
  OK(minibox_network_inspect(network, "apart", &json));
  HAS(json, "\"of\":\"mine\"");
  minibox_string_free(json);
  {
    minibox_run_options options = {0};
    minibox_exit end = {0};
    struct buffer output = {0};
    options.struct_size = sizeof options;
    options.output = collect_output;
    options.user = &output;
    end.struct_size = sizeof end;
    OK(minibox_container_run_foreground(engine->runtime,
                                        "{\"image\": \"busybox\", \"command\": [\"ip\", \"addr\"], "
                                        "\"rm\": true, \"network\": \"apart\"}",
                                        &options, NULL, &end));
    CHECK(end.code == 0);
    HAS(output.bytes, "eth0");
    buffer_free(&output);
  }
  OK(minibox_network_remove(network, "apart"));
  FAILS(MINIBOX_NOT_FOUND, "network_not_found", minibox_network_remove(network, "apart"));
  OK(minibox_network_warnings(network, &json));
  CHECK(json[0] == '[');
  minibox_string_free(json);
  puts("ok networks");
}

void test_compose(struct engine* engine) {
  minibox_compose_options options = {0};
  minibox_compose_call call = {0};
  minibox_compose_log_options logs = {0};
  minibox_compose* compose = NULL;
  struct buffer events = {0};
  char directory[512], file[600], locks[512];
  char* text = NULL;
  snprintf(directory, sizeof directory, "%s/project", engine->work);
  CHECK(mkdir(directory, 0755) == 0);
  snprintf(file, sizeof file, "%s/compose.yaml", directory);
  snprintf(locks, sizeof locks, "%s/locks", engine->work);
  write_file(file,
             "services:\n"
             "  web:\n"
             "    image: busybox\n"
             "    command: [sh, -c, 'echo ${WORD}; exec sleep 1000']\n"
             "    depends_on: [store]\n"
             "  store:\n"
             "    image: busybox\n"
             "    command: [sleep, '1000']\n");
  options.struct_size = sizeof options;
  options.directory = directory;
  options.project = "mine";
  options.lock_dir = locks;
  options.environment_json = "{\"WORD\": \"spoken\"}";
  OK(minibox_compose_open(engine->store, engine->network, engine->runtime, engine->builder,
                          &options, &compose));
  OK(minibox_compose_describe(compose, &text));
  HAS(text, "\"project\":\"mine\",\"services\":[\"store\",\"web\"]");
  minibox_string_free(text);
  OK(minibox_compose_config(compose, &text));
  HAS(text, "echo spoken");
  minibox_string_free(text);

  call.struct_size = sizeof call;
  call.event = collect;
  call.user = &events;
  call.has_stop_timeout = 1;
  OK(minibox_compose_up(compose, &call, NULL));
  HAS(events.bytes, "\"kind\":\"network_created\"");
  HAS(events.bytes, "\"kind\":\"started\"");
  buffer_free(&events);
  OK(minibox_compose_up(compose, &call, NULL));
  HAS(events.bytes, "\"kind\":\"unchanged\"");
  HAS_NOT(events.bytes, "\"kind\":\"started\"");
  buffer_free(&events);
  OK(minibox_compose_ps(compose, &text));
  HAS(text, "\"service\":\"web\"");
  HAS(text, "\"status\":\"running\"");
  minibox_string_free(text);

  call.services = (const char* const[]){"web"};
  call.service_count = 1;
  OK(minibox_compose_stop(compose, &call, NULL));
  logs.struct_size = sizeof logs;
  logs.services = call.services;
  logs.service_count = 1;
  buffer_free(&events);
  OK(minibox_compose_logs(compose, &logs, collect, &events, NULL));
  HAS(events.bytes, "\"text\":\"spoken\"");
  buffer_free(&events);
  OK(minibox_compose_start(compose, &call, NULL));
  OK(minibox_compose_restart(compose, &call, NULL));
  OK(minibox_compose_kill(compose, &call));
  OK(minibox_compose_remove(compose, &call, NULL));
  call.services = (const char* const[]){"nobody"};
  FAILS(MINIBOX_NOT_FOUND, "service_not_found", minibox_compose_start(compose, &call, NULL));
  call.services = NULL;
  call.service_count = 0;
  minibox_compose_free(compose);

  /* Without the file. */
  options.attach = 1;
  OK(minibox_compose_open(engine->store, engine->network, engine->runtime, engine->builder,
                          &options, &compose));
  OK(minibox_compose_down(compose, &call, NULL));
  OK(minibox_compose_ps(compose, &text));
  CHECK(strcmp(text, "[]") == 0);
  minibox_string_free(text);
  minibox_compose_free(compose);
  buffer_free(&events);
  options.attach = 0;
  options.file = "/nonexistent/compose.yaml";
  FAILS(MINIBOX_NOT_FOUND, "compose_file_not_found",
        minibox_compose_open(engine->store, engine->network, engine->runtime, engine->builder,
                             &options, &compose));
  puts("ok compose");
}
