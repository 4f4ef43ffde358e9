/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MiniBox for C99 and for everything that can call C: images, containers, networks, builds and
 * compose projects. It offers what the C++ headers <minibox/...> offer; docs/c-api.md has a tour.
 *
 * 1. Handles are opaque. Each has a ..._free(), which accepts NULL. Handles may be freed in any
 *    order, because each keeps alive what it was made from, but not while a call on it runs.
 * 2. A function that can fail returns a minibox_error, or NULL for success. The caller frees it.
 *    Results are stored only on success; a result pointer may be NULL if nobody wants it.
 *    No C++ exception and no signal leaves the library.
 * 3. Text is UTF-8 and ends with NUL. Results of type `char**` are freed by minibox_string_free();
 *    those called *_json hold the JSON that the HTTP API answers with (docs/http-api.md), and
 *    requests called *_json are the bodies of its requests, e.g. {"image": "busybox"}.
 * 4. Options: a struct whose `struct_size` is its sizeof and whose other fields are zero means the
 *    defaults, and so does a NULL pointer. Later versions append fields; what this library does not
 *    know is refused if it is not zero. minibox_exit and other result structs work alike.
 * 5. Callbacks run on a thread of the library or on the caller's, never two at once for one call.
 *    They may block, which holds up that call only, and may call anything but the ..._free() of a
 *    handle in use. Memory that they get is theirs during the call. Not 0 ends the call, which
 *    then fails with MINIBOX_CANCELLED and the reason "callback_stopped".
 * 6. All handles may be used from any threads at once; for minibox_process see there.
 * 7. A call with a minibox_cancel ends soon after minibox_cancel_request() with MINIBOX_CANCELLED.
 * 8. Bad handles, NULL where something is required and wrong struct sizes are answered with
 *    MINIBOX_INVALID_ARGUMENT, reason "invalid_argument", and the parameter in the field.
 * 9. `container` is an id, a name, or a unique prefix of an id.
 */
#ifndef MINIBOX_C_H_
#define MINIBOX_C_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MINIBOX_C_API __attribute__((visibility("default")))

/* Of these headers. The ABI of libminibox_c.so.1 only grows; see minibox_has_feature(). */
#define MINIBOX_C_ABI 1

typedef struct minibox_error minibox_error;
typedef struct minibox_cancel minibox_cancel;
typedef struct minibox_store minibox_store;
typedef struct minibox_registry minibox_registry;
typedef struct minibox_network minibox_network;
typedef struct minibox_runtime minibox_runtime;
typedef struct minibox_process minibox_process;
typedef struct minibox_builder minibox_builder;
typedef struct minibox_compose minibox_compose;

/* Numbers equal gRPC's and never change their meaning; new ones may come. */
enum {
  MINIBOX_OK = 0,
  MINIBOX_CANCELLED = 1,
  MINIBOX_UNKNOWN = 2,
  MINIBOX_INVALID_ARGUMENT = 3,
  MINIBOX_DEADLINE_EXCEEDED = 4,
  MINIBOX_NOT_FOUND = 5,
  MINIBOX_ALREADY_EXISTS = 6,
  MINIBOX_PERMISSION_DENIED = 7,
  MINIBOX_RESOURCE_EXHAUSTED = 8,
  MINIBOX_FAILED_PRECONDITION = 9,
  MINIBOX_ABORTED = 10,
  MINIBOX_OUT_OF_RANGE = 11,
  MINIBOX_UNIMPLEMENTED = 12,
  MINIBOX_INTERNAL = 13,
  MINIBOX_UNAVAILABLE = 14,
  MINIBOX_DATA_LOSS = 15,
  MINIBOX_UNAUTHENTICATED = 16
};

enum { MINIBOX_STDOUT = 1, MINIBOX_STDERR = 2 };

/* A piece of output of a container or process. */
typedef int (*minibox_output_fn)(void* user, int stream, const char* bytes, size_t size);
/* Bytes, or text (a line without line end, a JSON object), behind which there is a NUL. */
typedef int (*minibox_data_fn)(void* user, const char* bytes, size_t size);
/* severity: 0 debug, 1 info, 2 warning, 3 error. */
typedef void (*minibox_log_fn)(void* user, int severity, const char* module, const char* message);

/* ---- Library ---------------------------------------------------------------------------- */

/* "0.1.0": of the library in the process, which may be newer than this header. */
MINIBOX_C_API const char* minibox_version(void);
/* Whether it has what was added since 0.1 under that name. */
MINIBOX_C_API int minibox_has_feature(const char* name);
MINIBOX_C_API void minibox_string_free(char* text);
/* Where warnings of the library go, for the whole process; NULL: nowhere, as at first. */
MINIBOX_C_API minibox_error* minibox_set_log(minibox_log_fn sink, void* user);

/* Of NULL: MINIBOX_OK, "" and 0. The text lives as long as the error. */
MINIBOX_C_API int minibox_error_code(const minibox_error* error);
/* Machine-readable cause, see docs/errors.md; "" if there is none. */
MINIBOX_C_API const char* minibox_error_reason(const minibox_error* error);
MINIBOX_C_API const char* minibox_error_message(const minibox_error* error);
/* The field of the request, or the parameter, that is at fault; else "". */
MINIBOX_C_API const char* minibox_error_field(const minibox_error* error);
/* errno of the system call that failed, or 0. */
MINIBOX_C_API int minibox_error_errno(const minibox_error* error);
/* What a failed start means to a command line: 125, 126 or 127; 0 of NULL. */
MINIBOX_C_API int minibox_error_exit_code(const minibox_error* error);
MINIBOX_C_API void minibox_error_free(minibox_error* error);

/* NULL if there is no memory. It may be freed while calls that it was given to go on. */
MINIBOX_C_API minibox_cancel* minibox_cancel_new(void);
/* Any number of times, from any thread; not from a signal handler. */
MINIBOX_C_API void minibox_cancel_request(minibox_cancel* cancel);
MINIBOX_C_API int minibox_cancel_requested(const minibox_cancel* cancel);
MINIBOX_C_API void minibox_cancel_free(minibox_cancel* cancel);

/* How a run ended. */
typedef struct minibox_exit {
  size_t struct_size; /* set by the caller */
  int32_t code;       /* 128 + signal if killed; -1 if nobody could observe the end */
  int32_t signal;     /* 0 if it exited */
  int32_t oom_killed;
  char reason[20]; /* "exited", "signal", "oom", "timeout"; "" if nobody could observe it */
} minibox_exit;

/* ---- Store: images and volumes ---------------------------------------------------------- */

typedef struct minibox_store_options {
  size_t struct_size;
  const char* root;   /* data root; NULL: /var/lib/minibox */
  int32_t must_exist; /* do not create it */
} minibox_store_options;

/* Needs no privilege but access to the directory. */
MINIBOX_C_API minibox_error* minibox_store_open(const minibox_store_options* options,
                                                minibox_store** store);
MINIBOX_C_API void minibox_store_free(minibox_store* store);
/* The data root as an absolute path. */
MINIBOX_C_API minibox_error* minibox_store_root(minibox_store* store, char** path);

/* `image` is a name, or a digest or unique prefix (>= 6 hex digits) of a manifest or config. */
MINIBOX_C_API minibox_error* minibox_image_list(minibox_store* store, char** images_json);
MINIBOX_C_API minibox_error* minibox_image_get(minibox_store* store, const char* image,
                                               char** image_json);
/* With configuration, manifest and layers. platform: "linux/arm64", or NULL. */
MINIBOX_C_API minibox_error* minibox_image_inspect(minibox_store* store, const char* image,
                                                   const char* platform, char** details_json);
MINIBOX_C_API minibox_error* minibox_image_history(minibox_store* store, const char* image,
                                                   char** history_json);
MINIBOX_C_API minibox_error* minibox_image_tag(minibox_store* store, const char* image,
                                               const char* reference);
/* names_json: array of the names removed. `force`: also when containers use it. */
MINIBOX_C_API minibox_error* minibox_image_remove(minibox_store* store, const char* image,
                                                  int force, char** names_json);

/* Archives go through descriptors, which stay the caller's and need not be seekable. `progress`
 * gets JSON objects. */
MINIBOX_C_API minibox_error* minibox_image_load(minibox_store* store, int fd,
                                                minibox_data_fn progress, void* user,
                                                minibox_cancel* cancel, char** images_json);

typedef struct minibox_save_options {
  size_t struct_size;
  const char* compression;  /* NULL: none; "gzip", "zstd" */
  minibox_data_fn progress; /* JSON objects */
  void* user;
} minibox_save_options;
/* Raises SIGPIPE when nobody reads the pipe, unless it is ignored. */
MINIBOX_C_API minibox_error* minibox_image_save(minibox_store* store, const char* const* images,
                                                size_t count, int fd,
                                                const minibox_save_options* options,
                                                minibox_cancel* cancel);

typedef struct minibox_import_options {
  size_t struct_size;
  const char* message; /* comment in the history */
  minibox_data_fn progress;
  void* user;
} minibox_import_options;
/* An image of one layer, called `image`, from the tar of a root file system. */
MINIBOX_C_API minibox_error* minibox_image_import(minibox_store* store, int fd, const char* image,
                                                  const minibox_import_options* options,
                                                  minibox_cancel* cancel, char** image_json);

typedef struct minibox_prune_options {
  size_t struct_size;
  int32_t build_cache; /* results of build instructions and cache mounts too */
  int32_t dry_run;
  uint64_t keep_bytes; /* with build_cache: only until what stays takes at most that; 0: all */
} minibox_prune_options;
MINIBOX_C_API minibox_error* minibox_store_prune(minibox_store* store,
                                                 const minibox_prune_options* options,
                                                 minibox_cancel* cancel, char** report_json);
MINIBOX_C_API minibox_error* minibox_store_usage(minibox_store* store, int items,
                                                 char** usage_json);
MINIBOX_C_API minibox_error* minibox_store_verify(minibox_store* store, minibox_cancel* cancel,
                                                  char** report_json);

/* name: NULL or "" makes an anonymous one. labels_json: an object, or NULL. */
MINIBOX_C_API minibox_error* minibox_volume_create(minibox_store* store, const char* name,
                                                   const char* labels_json, char** volume_json);
MINIBOX_C_API minibox_error* minibox_volume_inspect(minibox_store* store, const char* name,
                                                    char** volume_json);
MINIBOX_C_API minibox_error* minibox_volume_list(minibox_store* store, char** volumes_json);
MINIBOX_C_API minibox_error* minibox_volume_remove(minibox_store* store, const char* name);
/* Those that no container refers to: anonymous ones, or with `all` named ones too. */
MINIBOX_C_API minibox_error* minibox_volume_prune(minibox_store* store, int all, int dry_run,
                                                  char** report_json);

/* ---- Registry --------------------------------------------------------------------------- */

typedef struct minibox_registry_options {
  size_t struct_size;
  const char* auth_file;      /* in the form of Docker's config.json; NULL: none */
  const char* const* mirrors; /* "registry=URL", asked before the registry itself */
  size_t mirror_count;
  const char* const* insecure; /* "host[:port]": plain HTTP or any certificate will do */
  size_t insecure_count;
  const char* https_proxy;
  const char* http_proxy;
  const char* no_proxy;
  const char* ca_file;         /* PEM; NULL: the system's authorities */
  int32_t max_parallel_layers; /* 0: 4 */
} minibox_registry_options;

typedef struct minibox_credentials {
  size_t struct_size;
  const char* username;
  const char* password;
  const char* identity_token;
  const char* registry_token;
} minibox_credentials;

typedef struct minibox_transfer_options {
  size_t struct_size;
  const char* platform;                   /* of an index; NULL: the host's. Pull only */
  const char* as;                         /* name in the registry; NULL: the image's. Push only */
  const minibox_credentials* credentials; /* NULL: those of auth_file */
  minibox_data_fn line;                   /* lines for people */
  minibox_data_fn progress;               /* JSON objects */
  void* user;
} minibox_transfer_options;

MINIBOX_C_API minibox_error* minibox_registry_open(minibox_store* store,
                                                   const minibox_registry_options* options,
                                                   minibox_registry** registry);
MINIBOX_C_API void minibox_registry_free(minibox_registry* registry);
MINIBOX_C_API minibox_error* minibox_registry_pull(minibox_registry* registry, const char* image,
                                                   const minibox_transfer_options* options,
                                                   minibox_cancel* cancel, char** image_json);
MINIBOX_C_API minibox_error* minibox_registry_push(minibox_registry* registry, const char* image,
                                                   const minibox_transfer_options* options,
                                                   minibox_cancel* cancel);
/* Whether `host` ("docker.io", "registry.example:5000") accepts the credentials. */
MINIBOX_C_API minibox_error* minibox_credentials_check(const char* host,
                                                       const minibox_credentials* credentials,
                                                       const minibox_registry_options* options,
                                                       minibox_cancel* cancel);
/* Creates `file` if missing; what else is in it stays. */
MINIBOX_C_API minibox_error* minibox_credentials_save(const char* file, const char* host,
                                                      const minibox_credentials* credentials);
/* *removed: whether there were any. */
MINIBOX_C_API minibox_error* minibox_credentials_remove(const char* file, const char* host,
                                                        int* removed);

/* ---- Networks --------------------------------------------------------------------------- */

typedef struct minibox_network_options {
  size_t struct_size;
  const char* state_dir;      /* NULL: "networks" in the store's data root */
  const char* default_bridge; /* NULL: minibox0 */
  const char* default_subnet; /* NULL: 172.19.0.0/24 */
  const char* const* subnet_pool;
  size_t subnet_pool_count; /* 0: the usual pool */
  int32_t ipv6;
  const char* resolv_conf; /* NULL: /etc/resolv.conf */
} minibox_network_options;

/* What changes networks needs CAP_NET_ADMIN; opening does not. */
MINIBOX_C_API minibox_error* minibox_network_open(minibox_store* store,
                                                  const minibox_network_options* options,
                                                  minibox_network** network);
MINIBOX_C_API void minibox_network_free(minibox_network* network);
/* Sets the default bridge up, or repairs it. */
MINIBOX_C_API minibox_error* minibox_network_ensure_default(minibox_network* network,
                                                            char** network_json);
MINIBOX_C_API minibox_error* minibox_network_list(minibox_network* network, char** networks_json);
MINIBOX_C_API minibox_error* minibox_network_inspect(minibox_network* network, const char* name,
                                                     char** network_json);
/* spec_json: {"name", "subnet", "gateway", "subnet6", "internal", "dns", "mtu", "labels"}. */
MINIBOX_C_API minibox_error* minibox_network_create(minibox_network* network, const char* spec_json,
                                                    char** network_json);
MINIBOX_C_API minibox_error* minibox_network_remove(minibox_network* network, const char* name);
/* Array of what keeps networks from working that only an administrator can change. */
MINIBOX_C_API minibox_error* minibox_network_warnings(minibox_network* network,
                                                      char** warnings_json);

/* ---- Containers ------------------------------------------------------------------------- */

typedef struct minibox_runtime_options {
  size_t struct_size;
  const char* run_dir;              /* NULL: <data root>/run */
  const char* cgroup_parent;        /* NULL: the root of each hierarchy */
  uint32_t subid_base;              /* 0: 100000 */
  uint32_t subid_count;             /* 0: 65536 */
  const char* const* bind_prefixes; /* host paths that may be mounted; none: all */
  size_t bind_prefix_count;
  /* Acts on restart policies and probes health, for all containers of the data root: for the one
   * process that stays. */
  int32_t supervise;
} minibox_runtime_options;

/* Containers outlive it. */
MINIBOX_C_API minibox_error* minibox_runtime_open(minibox_store* store, minibox_network* network,
                                                  const minibox_runtime_options* options,
                                                  minibox_runtime** runtime);
MINIBOX_C_API void minibox_runtime_free(minibox_runtime* runtime);
MINIBOX_C_API minibox_error* minibox_system_info(minibox_runtime* runtime, char** info_json);

/* spec_json is the body of POST /containers/run; fields that are unknown are refused. A failure
 * leaves nothing behind. */
MINIBOX_C_API minibox_error* minibox_container_create(minibox_runtime* runtime,
                                                      const char* spec_json, char** container_json);
MINIBOX_C_API minibox_error* minibox_container_start(minibox_runtime* runtime,
                                                     const char* container, minibox_cancel* cancel,
                                                     char** container_json);
/* Create and start, in the background. */
MINIBOX_C_API minibox_error* minibox_container_run(minibox_runtime* runtime, const char* spec_json,
                                                   minibox_cancel* cancel, char** container_json);

typedef struct minibox_run_options {
  size_t struct_size;
  minibox_output_fn output; /* live, complete and in order; NULL: to the log only */
  minibox_data_fn started;  /* the container's JSON, once, before any output */
  void* user;
} minibox_run_options;
/* Create, start, and output until it has exited. What becomes of the container if a callback or
 * `cancel` ends the call is said by "on_disconnect" of the spec: "kill" (the default) or "keep". */
MINIBOX_C_API minibox_error* minibox_container_run_foreground(minibox_runtime* runtime,
                                                              const char* spec_json,
                                                              const minibox_run_options* options,
                                                              minibox_cancel* cancel,
                                                              minibox_exit* exit);

typedef struct minibox_stop_options {
  size_t struct_size;
  int32_t signal; /* 0: the container's stop signal */
  int32_t has_grace;
  int64_t grace_ms; /* then SIGKILL; without has_grace the container's */
} minibox_stop_options;
/* *outcome: 0 stopped, 1 killed after the grace period, 2 did not run. */
MINIBOX_C_API minibox_error* minibox_container_stop(minibox_runtime* runtime, const char* container,
                                                    const minibox_stop_options* options,
                                                    minibox_cancel* cancel, int* outcome);
MINIBOX_C_API minibox_error* minibox_container_restart(minibox_runtime* runtime,
                                                       const char* container,
                                                       const minibox_stop_options* options,
                                                       minibox_cancel* cancel,
                                                       char** container_json);
/* signal 0: SIGKILL. */
MINIBOX_C_API minibox_error* minibox_container_kill(minibox_runtime* runtime, const char* container,
                                                    int signal);
MINIBOX_C_API minibox_error* minibox_container_remove(minibox_runtime* runtime,
                                                      const char* container, int force);
MINIBOX_C_API minibox_error* minibox_container_pause(minibox_runtime* runtime,
                                                     const char* container);
MINIBOX_C_API minibox_error* minibox_container_unpause(minibox_runtime* runtime,
                                                       const char* container);
MINIBOX_C_API minibox_error* minibox_container_rename(minibox_runtime* runtime,
                                                      const char* container, const char* name);
/* changes_json: {"memory", "memory_swap" (MiB), "cpu", "cpuset", "io_weight", "pids_limit",
 * "restart"}; what is missing stays, -1 removes a limit. All or nothing. */
MINIBOX_C_API minibox_error* minibox_container_update(minibox_runtime* runtime,
                                                      const char* container,
                                                      const char* changes_json);

enum { MINIBOX_UNTIL_EXITED = 0, MINIBOX_UNTIL_REMOVED = 1, MINIBOX_UNTIL_HEALTHY = 2 };
typedef struct minibox_wait_options {
  size_t struct_size;
  int32_t condition;
  int64_t timeout_ms; /* then MINIBOX_DEADLINE_EXCEEDED, "timeout"; 0: none */
} minibox_wait_options;
/* exit: of the last run; container_json: as it was when the condition held. */
MINIBOX_C_API minibox_error* minibox_container_wait(minibox_runtime* runtime, const char* container,
                                                    const minibox_wait_options* options,
                                                    minibox_cancel* cancel, minibox_exit* exit,
                                                    char** container_json);

/* containers_json: an object, id -> container. */
MINIBOX_C_API minibox_error* minibox_container_list(minibox_runtime* runtime,
                                                    char** containers_json);
MINIBOX_C_API minibox_error* minibox_container_get(minibox_runtime* runtime, const char* container,
                                                   char** container_json);
/* With mounts, limits in force and security. size: also what it has written. */
MINIBOX_C_API minibox_error* minibox_container_inspect(minibox_runtime* runtime,
                                                       const char* container, int size,
                                                       char** details_json);
/* {"failing_streak", "probes": [{"start", "end", "exit_code", "output"}]} */
MINIBOX_C_API minibox_error* minibox_container_health(minibox_runtime* runtime,
                                                      const char* container, char** health_json);
/* container NULL: an array of all that run. */
MINIBOX_C_API minibox_error* minibox_container_stats(minibox_runtime* runtime,
                                                     const char* container, char** stats_json);
MINIBOX_C_API minibox_error* minibox_container_top(minibox_runtime* runtime, const char* container,
                                                   char** processes_json);
MINIBOX_C_API minibox_error* minibox_container_diff(minibox_runtime* runtime, const char* container,
                                                    char** changes_json);
/* The root file system without mounts as a tar. */
MINIBOX_C_API minibox_error* minibox_container_export(minibox_runtime* runtime,
                                                      const char* container, minibox_data_fn tar,
                                                      void* user, minibox_cancel* cancel);

/* Copies in every state; paths as the container sees them. stat_json: {"name", "size", "mode",
 * "mtime", "link_target"}; follow_link: a link as last component stands for what it leads to. */
MINIBOX_C_API minibox_error* minibox_container_stat(minibox_runtime* runtime, const char* container,
                                                    const char* path, int follow_link,
                                                    char** stat_json);
/* What `path` stands for and all below it as a tar whose entries begin with its last component. */
MINIBOX_C_API minibox_error* minibox_container_copy_out(minibox_runtime* runtime,
                                                        const char* container, const char* path,
                                                        int follow_link, minibox_data_fn tar,
                                                        void* user, minibox_cancel* cancel);
/* Merges a tar, plain, gzip or zstd, into an existing directory. keep_ids: owners as in it instead
 * of 0:0. What is copied before a failure stays. */
MINIBOX_C_API minibox_error* minibox_container_copy_in(minibox_runtime* runtime,
                                                       const char* container, const char* directory,
                                                       int fd, int keep_ids,
                                                       minibox_cancel* cancel);
/* The other end: `path` of this program and all below it as a tar, in which it is called `name`;
 * "": only what is below it. */
MINIBOX_C_API minibox_error* minibox_tree_pack(const char* path, const char* name, int follow_link,
                                               minibox_data_fn tar, void* user,
                                               minibox_cancel* cancel);
/* Merges a tar into a directory of this program. name: what the first component of each name in
 * the tar becomes; "": what is below it goes into the directory itself; NULL: names stay. */
MINIBOX_C_API minibox_error* minibox_tree_unpack(int fd, const char* directory, const char* name,
                                                 int keep_ids, minibox_cancel* cancel);

typedef struct minibox_commit_options {
  size_t struct_size;
  const char* message;
  const char* author;
  int32_t no_pause;           /* the container runs on meanwhile */
  const char* const* changes; /* instructions: "ENV A=b", "CMD [\"x\"]", ... */
  size_t change_count;
} minibox_commit_options;
MINIBOX_C_API minibox_error* minibox_container_commit(minibox_runtime* runtime,
                                                      const char* container, const char* image,
                                                      const minibox_commit_options* options,
                                                      minibox_cancel* cancel, char** image_json);

typedef struct minibox_container_prune_options {
  size_t struct_size;
  int32_t dry_run;
  const char* until;         /* created before: RFC 3339, seconds since 1970, or a duration ago */
  const char* const* labels; /* "key" or "key=value"; all must hold */
  size_t label_count;
} minibox_container_prune_options;
MINIBOX_C_API minibox_error* minibox_container_prune(minibox_runtime* runtime,
                                                     const minibox_container_prune_options* options,
                                                     char** report_json);

typedef struct minibox_log_options {
  size_t struct_size;
  int32_t follow;     /* goes on until the container is removed, */
  int32_t until_exit; /* or with this until it has exited */
  int32_t has_tail;
  uint64_t tail_lines; /* with has_tail */
  const char* since;   /* as in minibox_container_prune_options */
  const char* until;
  int32_t stream; /* MINIBOX_STDOUT, MINIBOX_STDERR; 0: both */
  int32_t timestamps;
} minibox_log_options;
MINIBOX_C_API minibox_error* minibox_container_logs(minibox_runtime* runtime, const char* container,
                                                    const minibox_log_options* options,
                                                    minibox_output_fn output, void* user,
                                                    minibox_cancel* cancel);

typedef struct minibox_event_options {
  size_t struct_size;
  const char* since; /* past events from then on come first; NULL: none */
  const char* until; /* NULL: it goes on until a callback or `cancel` ends it */
  /* Alternatives of one kind, but of labels all must hold. */
  const char* const* types; /* "container.die", or "container" for the family */
  size_t type_count;
  const char* const* containers;
  size_t container_count;
  const char* const* images;
  size_t image_count;
  const char* const* projects;
  size_t project_count;
  const char* const* labels;
  size_t label_count;
  minibox_data_fn ready; /* once, with nothing: what happens from now on will be told */
} minibox_event_options;
/* `event` gets a JSON object each; the last one is {"type": "overflow"} if it was too slow. */
MINIBOX_C_API minibox_error* minibox_events(minibox_runtime* runtime,
                                            const minibox_event_options* options,
                                            minibox_data_fn event, void* user,
                                            minibox_cancel* cancel);
/* Adds an event of the program's own, "<family>.<what>". */
MINIBOX_C_API minibox_error* minibox_announce(minibox_runtime* runtime, const char* type,
                                              const char* id, const char* attributes_json);

/* ---- Processes that are talked to ------------------------------------------------------- */

/* One thread at a time calls minibox_process_wait(), once; the others may be called meanwhile
 * from any thread. Freeing ends an exec that has not ended, and a run as its "on_disconnect"
 * says; an attachment is only detached. */

/* Runs a new container. started: see minibox_run_options; its `output` is not used. */
MINIBOX_C_API minibox_error* minibox_process_run(minibox_runtime* runtime, const char* spec_json,
                                                 const minibox_run_options* options,
                                                 minibox_cancel* cancel, minibox_process** process);
/* Starts a container that there is; it goes on when the process is freed. */
MINIBOX_C_API minibox_error* minibox_process_start(minibox_runtime* runtime, const char* container,
                                                   minibox_cancel* cancel,
                                                   minibox_process** process);
/* Joins a container that runs. logs: its log first. */
MINIBOX_C_API minibox_error* minibox_process_attach(minibox_runtime* runtime, const char* container,
                                                    int logs, minibox_process** process);
/* exec_json is the body of POST /containers/exec with the container in it:
 * {"id": "web", "command": ["sh"], "interactive": true}. */
MINIBOX_C_API minibox_error* minibox_process_exec(minibox_runtime* runtime, const char* exec_json,
                                                  minibox_cancel* cancel,
                                                  minibox_process** process);
MINIBOX_C_API minibox_error* minibox_process_wait(minibox_process* process,
                                                  minibox_output_fn output, void* user,
                                                  minibox_cancel* cancel, minibox_exit* exit);
/* Blocks while the process does not read. */
MINIBOX_C_API minibox_error* minibox_process_write(minibox_process* process, const char* bytes,
                                                   size_t size, minibox_cancel* cancel);
MINIBOX_C_API minibox_error* minibox_process_close_stdin(minibox_process* process);
MINIBOX_C_API minibox_error* minibox_process_resize(minibox_process* process, int rows, int cols);
MINIBOX_C_API minibox_error* minibox_process_signal(minibox_process* process, int signal);
MINIBOX_C_API void minibox_process_free(minibox_process* process);

/* ---- Builds ----------------------------------------------------------------------------- */

typedef struct minibox_builder_options {
  size_t struct_size;
  int32_t max_parallel;       /* blocks built at once; 0: number of CPUs */
  minibox_registry* registry; /* where bases are pulled from; NULL: they must be here */
} minibox_builder_options;

/* Errors and warnings of a MiniBox file: [{"severity", "line", "column", "message"}]. */
MINIBOX_C_API minibox_error* minibox_build_check(const char* minibox_file, char** diagnostics_json);
MINIBOX_C_API minibox_error* minibox_builder_open(minibox_store* store, minibox_runtime* runtime,
                                                  const minibox_builder_options* options,
                                                  minibox_builder** builder);
MINIBOX_C_API void minibox_builder_free(minibox_builder* builder);
/* request_json is the body of POST /containers/build; `context` is an absolute path. */
MINIBOX_C_API minibox_error* minibox_builder_plan(minibox_builder* builder,
                                                  const char* request_json, minibox_cancel* cancel,
                                                  char** plan_json);
/* `line` gets what the command line would show. */
MINIBOX_C_API minibox_error* minibox_builder_build(minibox_builder* builder,
                                                   const char* request_json, minibox_data_fn line,
                                                   void* user, minibox_cancel* cancel,
                                                   char** image_json);

/* ---- Compose projects ------------------------------------------------------------------- */

typedef struct minibox_compose_options {
  size_t struct_size;
  const char* file;      /* NULL: the first of the usual names in `directory` */
  const char* directory; /* NULL: "." */
  const char* project;   /* NULL: the file's name, else the directory's */
  const char* const* profiles;
  size_t profile_count;
  const char* environment_json; /* an object of variables, or NULL */
  const char* env_file;
  const char* home;     /* what "~" means; NULL: an error where it is used */
  const char* lock_dir; /* NULL: /run/minibox-compose */
  /* Without the file: what there is of `project`, to be listed, stopped and removed. */
  int32_t attach;
  minibox_registry* registry; /* where images are pulled from; NULL: they must be here */
} minibox_compose_options;

/* Reads the file; nothing is done yet. */
MINIBOX_C_API minibox_error* minibox_compose_open(minibox_store* store, minibox_network* network,
                                                  minibox_runtime* runtime,
                                                  minibox_builder* builder,
                                                  const minibox_compose_options* options,
                                                  minibox_compose** compose);
MINIBOX_C_API void minibox_compose_free(minibox_compose* compose);
/* {"project", "services": [...], "warnings": [...]}, services after what they depend on. */
MINIBOX_C_API minibox_error* minibox_compose_describe(minibox_compose* compose,
                                                      char** project_json);
/* The file with every variable replaced, as YAML. */
MINIBOX_C_API minibox_error* minibox_compose_config(minibox_compose* compose, char** yaml);
/* [{"service", "container": {...}}] */
MINIBOX_C_API minibox_error* minibox_compose_ps(minibox_compose* compose, char** services_json);

typedef struct minibox_compose_call {
  size_t struct_size;
  const char* const* services; /* none: all */
  size_t service_count;
  minibox_data_fn event; /* {"kind", "service", "id", "text"}, kind as in minibox/compose.h */
  void* user;
  int32_t build;          /* up: build images that there are already */
  int32_t force_recreate; /* up: replace what is as it should be */
  int32_t no_deps;        /* up: leave dependencies as they are */
  int32_t remove_orphans; /* up, down: containers whose service is not in the file */
  int32_t wait;           /* up: until those with health checks are healthy */
  int32_t volumes;        /* down: remove the project's volumes too */
  int32_t no_cache;       /* build */
  int32_t stop_first;     /* remove: also those that run */
  int32_t signal;         /* kill; 0: SIGKILL */
  int32_t has_stop_timeout;
  int64_t stop_timeout_s; /* with has_stop_timeout: of what is stopped */
  int64_t timeout_s;      /* up: for a dependency's condition and `wait`; 0: 60 */
} minibox_compose_call;
/* Brings what runs in accordance with the file; a second call changes nothing. */
MINIBOX_C_API minibox_error* minibox_compose_up(minibox_compose* compose,
                                                const minibox_compose_call* call,
                                                minibox_cancel* cancel);
MINIBOX_C_API minibox_error* minibox_compose_down(minibox_compose* compose,
                                                  const minibox_compose_call* call,
                                                  minibox_cancel* cancel);
MINIBOX_C_API minibox_error* minibox_compose_start(minibox_compose* compose,
                                                   const minibox_compose_call* call,
                                                   minibox_cancel* cancel);
MINIBOX_C_API minibox_error* minibox_compose_stop(minibox_compose* compose,
                                                  const minibox_compose_call* call,
                                                  minibox_cancel* cancel);
MINIBOX_C_API minibox_error* minibox_compose_restart(minibox_compose* compose,
                                                     const minibox_compose_call* call,
                                                     minibox_cancel* cancel);
MINIBOX_C_API minibox_error* minibox_compose_kill(minibox_compose* compose,
                                                  const minibox_compose_call* call);
MINIBOX_C_API minibox_error* minibox_compose_remove(minibox_compose* compose,
                                                    const minibox_compose_call* call,
                                                    minibox_cancel* cancel);
MINIBOX_C_API minibox_error* minibox_compose_build(minibox_compose* compose,
                                                   const minibox_compose_call* call,
                                                   minibox_cancel* cancel);
MINIBOX_C_API minibox_error* minibox_compose_pull(minibox_compose* compose,
                                                  const minibox_compose_call* call,
                                                  minibox_cancel* cancel);

typedef struct minibox_compose_log_options {
  size_t struct_size;
  const char* const* services;
  size_t service_count;
  int32_t follow; /* until all have exited */
  int32_t has_tail;
  uint64_t tail_lines;
} minibox_compose_log_options;
/* `line` gets {"service", "time", "text", "stream"} each; bytes that are no UTF-8 are replaced. */
MINIBOX_C_API minibox_error* minibox_compose_logs(minibox_compose* compose,
                                                  const minibox_compose_log_options* options,
                                                  minibox_data_fn line, void* user,
                                                  minibox_cancel* cancel);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* MINIBOX_C_H_ */
