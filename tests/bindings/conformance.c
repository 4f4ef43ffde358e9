/* SPDX-License-Identifier: Apache-2.0 */
/*
 * c_conformance <scratch directory> <base.tar.gz>: what a program in C does with the library, on
 * the real kernel, as root. Ends with 0 if all is as minibox.h says and nothing is left.
 */
#include "conformance.h"

#include <dirent.h>
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

static int open_descriptors(void) {
  int count = 0;
  DIR* dir = opendir("/proc/self/fd");
  CHECK(dir != NULL);
  while (readdir(dir) != NULL) ++count;
  closedir(dir);
  return count;
}

static int threads(void) {
  int count = 0;
  DIR* dir = opendir("/proc/self/task");
  CHECK(dir != NULL);
  while (readdir(dir) != NULL) ++count;
  closedir(dir);
  return count;
}

int main(int argc, char** argv) {
  struct engine engine;
  char* json = NULL;
  int descriptors = open_descriptors();
  int tasks = threads();
  if (argc != 3) return 2;
  open_engine(&engine, argv[1], argv[2]);
  printf("library %s\n", minibox_version());

  test_images(&engine, argv[2]);
  test_lifecycle(&engine);
  test_foreground(&engine);
  test_processes(&engine);
  test_observation(&engine);
  test_threads(&engine);
  test_builds(&engine, argv[2]);
  test_networks(&engine);
  test_compose(&engine);

  OK(minibox_container_list(engine.runtime, &json));
  CHECK(strcmp(json, "{}") == 0);
  minibox_string_free(json);
  OK(minibox_network_remove(engine.network, "bridge"));
  close_engine(&engine);

  CHECK(open_descriptors() == descriptors);
  CHECK(threads() == tasks);
  CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
  puts("all as promised, and nothing left");
  return 0;
}
