// SPDX-License-Identifier: Apache-2.0
#include "compose/project.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/file.h"

namespace minibox::compose {
namespace {

class ProjectTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto dir = core::TempDir::Create("/tmp", "minibox-compose-");
    ASSERT_TRUE(dir.ok());
    dir_.emplace(std::move(*dir));
    options_.directory = dir_->path() + "/My.Project";
    std::filesystem::create_directories(options_.directory);
    options_.home = "/home/me";
  }
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(options_.directory / name) << text;
  }
  StatusOr<Project> Load(const std::string& text) {
    Write("compose.yaml", text);
    return LoadProject(options_);
  }
  // The service `s` of a file that is right.
  Service Read(const std::string& body) {
    auto project = Load("services:\n  s:\n    image: i\n" + body);
    EXPECT_TRUE(project.ok()) << body << project.status().ToString();
    if (!project.ok()) return {};
    warnings_ = project->warnings;
    return *project->Find("s");
  }

  std::optional<core::TempDir> dir_;
  ComposeOptions options_{};
  std::vector<std::string> warnings_;
};

TEST_F(ProjectTest, NamesThings) {
  const auto project = Load("services: {web: {image: nginx}}\nvolumes: {data: }\n");
  ASSERT_TRUE(project.ok()) << project.status().ToString();
  EXPECT_EQ(project->name, "myproject");
  const Service& web = *project->Find("web");
  EXPECT_EQ(web.spec.name, "myproject-web");
  EXPECT_EQ(web.spec.hostname, "web");
  EXPECT_EQ(web.spec.project, "myproject");
  EXPECT_EQ(web.spec.network, "myproject-default");
  EXPECT_EQ(web.spec.labels.at("minibox.service"), "web");
  EXPECT_EQ(project->volumes[0].name, "myproject-data");
  options_.project = "Other!";
  EXPECT_EQ(LoadProject(options_)->name, "other");
  options_.project = "!";
  EXPECT_EQ(LoadProject(options_).status().field(), "project");
}

TEST_F(ProjectTest, ReadsEveryKey) {
  Write("vars.env", "FROM_FILE=1\nBOTH=file\n");
  Write("secret.txt", "s");
  Write("profile.json", "{}");
  options_.environment = {{"HOST_VALUE", "h"}};
  const auto project = Load(R"(
name: p
x-common: &common {restart: always}
services:
  s:
    <<: *common
    image: i:1
    command: run --flag 'two words'
    entrypoint: [/bin/e]
    environment: {A: 1, HOST_VALUE: , NOBODY: , BOTH: own}
    env_file: [vars.env, {path: none.env, required: false}]
    labels: [a=b, c]
    ports: ["8080:80", "127.0.0.1:53:53/udp", 9000-9001, "127.0.0.1::81",
            {target: 443, published: 8443, host_ip: "::1"}]
    expose: ["80"]
    volumes: [data:/d:ro, ./here:/h, ~/me:/m, /anon,
              {type: bind, source: ., target: /b, read_only: true, bind: {create_host_path: false}},
              {type: volume, source: data, target: /v, volume: {nocopy: true}},
              {type: tmpfs, target: /t, tmpfs: {size: 1m}}]
    tmpfs: /scratch:size=1m
    networks: {front: {aliases: [w, www], ipv4_address: 10.9.0.5}, back: }
    depends_on: {db: {condition: service_healthy, required: false}}
    healthcheck: {test: [CMD, ok], interval: 1s, timeout: 500ms, retries: 2, start_period: 3}
    deploy: {resources: {limits: {cpus: '0.5', memory: 64m, pids: 50}}}
    secrets: [key, {source: key, target: /etc/key}]
    configs: [{source: conf, target: /etc/conf}]
    profiles: [extra]
    user: "1000:1000"
    working_dir: /w
    hostname: host
    container_name: own
    init: false
    tty: true
    stdin_open: true
    read_only: true
    userns_mode: host
    stop_signal: SIGINT
    stop_grace_period: 1m30s
    platform: linux/arm64
    pull_policy: always
    devices: [/dev/null]
    dns: 1.1.1.1
    extra_hosts: [a:1.2.3.4, b=5.6.7.8]
    cap_add: [NET_ADMIN]
    cap_drop: [ALL]
    security_opt: [seccomp=profile.json, no-new-privileges:true]
    sysctls: [net.core.somaxconn=10]
    ulimits: {nproc: 10, nofile: {soft: 1, hard: 2}}
    db_mode: true
    shm_size: 64
    oom_score_adj: 10
    io_weight: 20
    cpuset: "0"
    data: /var/lib/data
  db: {build: {context: ./db, minibox: Other, args: [X=1, HOST_VALUE], target: t, labels: {l: m},
               secrets: [key]}}
networks:
  front: {ipam: {config: [{subnet: 10.9.0.0/24}]}}
  back: {internal: true, name: real}
volumes: {data: {external: true}}
secrets: {key: {file: secret.txt}}
configs: {conf: {file: secret.txt}}
)");
  ASSERT_TRUE(project.ok()) << project.status().ToString();
  EXPECT_TRUE(project->warnings.empty()) << project->warnings[0];
  const Service& s = *project->Find("s");
  const ContainerSpec& spec = s.spec;
  EXPECT_EQ(spec.restart.ToString(), "always");
  EXPECT_EQ(spec.command, (std::vector<std::string>{"run", "--flag", "two words"}));
  EXPECT_EQ(*spec.entrypoint, std::vector<std::string>{"/bin/e"});
  EXPECT_EQ(spec.env, (std::vector<std::string>{"A=1", "BOTH=own", "FROM_FILE=1", "HOST_VALUE=h"}));
  EXPECT_EQ(spec.labels.at("a"), "b");
  EXPECT_EQ(spec.labels.at("minibox.aliases"), "w,www");
  ASSERT_EQ(spec.ports.size(), 6u);
  EXPECT_EQ(spec.ports[1].protocol, PortMapping::Protocol::kUdp);
  EXPECT_EQ(spec.ports[2].host_port, 0);
  EXPECT_EQ(spec.ports[3].container_port, 9001);
  EXPECT_EQ(spec.ports[4].host_ip, "127.0.0.1");
  EXPECT_EQ(spec.ports[5].host_ip, "::1");
  ASSERT_EQ(spec.mounts.size(), 12u);
  EXPECT_EQ(spec.mounts[0].source, "data");
  EXPECT_EQ(spec.mounts[1].source, (options_.directory / "here").string());
  EXPECT_EQ(spec.mounts[2].source, "/home/me/me");
  EXPECT_EQ(spec.mounts[3].source, "");
  EXPECT_EQ(spec.mounts[4].options, "ro,nocreate");
  EXPECT_EQ(spec.mounts[5].options, "nocopy");
  EXPECT_EQ(spec.mounts[6].options, "size=1048576");
  EXPECT_EQ(spec.mounts[7].target, "/scratch");
  EXPECT_EQ(spec.mounts[8].target, "/run/secrets/key");
  EXPECT_EQ(spec.mounts[9].target, "/etc/key");
  EXPECT_EQ(spec.mounts[10].target, "/etc/conf");
  EXPECT_EQ(spec.network, "p-front,real");
  EXPECT_EQ(spec.ip, "10.9.0.5");
  ASSERT_EQ(s.depends_on.size(), 1u);
  EXPECT_EQ(s.depends_on[0].condition, Condition::kHealthy);
  EXPECT_FALSE(s.depends_on[0].required);
  EXPECT_EQ(spec.healthcheck->start_period, std::chrono::milliseconds(3000));
  EXPECT_EQ(spec.resources.cpu_quota_us, 50'000);
  EXPECT_EQ(spec.resources.memory_bytes, 64 << 20);
  EXPECT_EQ(spec.resources.pids, 50);
  EXPECT_EQ(spec.stop_timeout, std::chrono::milliseconds(90'000));
  EXPECT_EQ(s.platform.architecture, "arm64");
  EXPECT_EQ(s.pull_policy, PullPolicy::kAlways);
  EXPECT_EQ(spec.extra_hosts, (std::vector<std::string>{"a:1.2.3.4", "b:5.6.7.8"}));
  EXPECT_EQ(spec.security.seccomp_profile, "{}");
  EXPECT_EQ(spec.ulimits.at("nofile"), "1:2");
  EXPECT_EQ(spec.shm_bytes, 64u << 20);
  EXPECT_TRUE(spec.db_mode && spec.tty && spec.open_stdin && !spec.init);
  const Service& db = *project->Find("db");
  EXPECT_EQ(db.spec.image, "p-db");
  EXPECT_EQ(db.build->file, options_.directory / "db/Other");
  EXPECT_EQ(db.build->args.at("HOST_VALUE"), "h");
  EXPECT_EQ(db.build->secrets.at("key"), options_.directory / "secret.txt");
}

TEST_F(ProjectTest, DataIsAVolumeOfTheService) {
  EXPECT_EQ(Read("    data: /d\n").spec.mounts[0].source, "myproject-s-data");
}

TEST_F(ProjectTest, EnvFileBesideTheFile) {
  Write(".env", "TAG=7\nNAME=from-env-file\n");
  options_.environment = {{"NAME", "stronger"}};
  const Service s = Read("    hostname: ${NAME}\n    user: \"${TAG}\"\n");
  EXPECT_EQ(s.spec.hostname, "stronger");
  EXPECT_EQ(s.spec.user, "7");
  EXPECT_TRUE(warnings_.empty());
}

TEST_F(ProjectTest, WarnsOfWhatHasNoEffect) {
  (void)Read("    blkio_config: {}\n    x-mine: 1\n    user: $UNSET\n    deploy: {replicas: 2}\n");
  ASSERT_EQ(warnings_.size(), 3u);
  EXPECT_EQ(warnings_[0], "compose.yaml:6:11: variable UNSET is not set; it is empty");
  EXPECT_NE(warnings_[1].find("compose.yaml:4:5: 'blkio_config' of service 's'"),
            std::string::npos);
  EXPECT_NE(warnings_[2].find("'replicas' of deploy"), std::string::npos);
}

TEST_F(ProjectTest, RefusesWithPosition) {
  const std::string head = "services:\n  s:\n    image: i\n";
  const std::pair<std::string, const char*> kCases[] = {
      {"services: {s: {image: I:I:I}}", "compose.yaml:1:23: image:"},
      {"services: {s: {}}", "needs image or build"},
      {"services: {'a b': {image: i}}", "cannot be the name of a service"},
      {"services: [a]", "compose.yaml:1:11: services must be a map, not a list"},
      {"a: 1", "there are no services"},
      {head + "    ports: [70000]\n", "compose.yaml:4:13: ports:"},
      {head + "    ports: {a: 1}\n", "ports must be a list"},
      {head + "    ports: [{published: 1}]\n", "ports needs a target"},
      {head + "    init: maybe\n", "init must be true or false, not 'maybe'"},
      {head + "    volumes: [nope:/x]\n", "there is no volume 'nope'"},
      {head + "    volumes: [a:b:c:d]\n", "source:target[:options]"},
      {head + "    volumes: [{type: npipe, target: /x}]\n", "bind, volume or tmpfs"},
      {head + "    networks: [nope]\n", "there is no network 'nope'"},
      {head + "    networks: []\n    network_mode: weird\n", "network_mode must be"},
      {head + "    network_mode: host\n    networks: [default]\n",
       "both networks and network_mode"},
      {head + "    depends_on: [nope]\n", "depends on 'nope', which there is not"},
      {head + "    depends_on: {s: {condition: sometimes}}\n", "condition must be"},
      {head + "    depends_on: [s]\n", "depend on each other: s -> s"},
      {head + "    healthcheck: {retries: 0}\n", "healthcheck.retries must be a number"},
      {head + "    healthcheck: {interval: soon}\n", "a duration such as 1m30s"},
      {head + "    mem_limit: lots\n", "a size such as 512m or 2g"},
      {head + "    cpus: -1\n", "cpus must be a number"},
      {head + "    secrets: [nope]\n", "nothing called 'nope' in the top-level secrets"},
      {head + "    restart: sometimes\n", "restart"},
      {head + "    pull_policy: daily\n", "pull_policy must be"},
      {head + "    platform: arm64\n", "os/arch[/variant]"},
      {head + "    stop_signal: SIGNOPE\n", "a signal such as SIGTERM"},
      {head + "    ulimits: {nofile: {soft: 1}}\n", "needs soft and hard"},
      {head + "    command: \"a 'b\"\n", "command: ' without end"},
      {head + "    env_file: none.env\n", "env_file: open"},
      {head + "    user: ${NEED:?give it}\n",
       "compose.yaml:4:11: variable NEED is not set: give it"},
      {head + "    environment: [=x]\n", "must be KEY=value"},
      {head + "    oom_score_adj: 5000\n", "from -1000 to 1000"},
      {head + "secrets: {k: {file: none}}\n", "there is no file"},
      {head + "  t: {image: i, container_name: myproject-s}\n", "have one container name"},
      {head + "  t: {image: i, depends_on: [u]}\n  u: {image: i, depends_on: [t]}\n",
       "t -> u -> t"},
  };
  for (const auto& [text, message] : kCases) {
    const auto project = Load(text);
    ASSERT_FALSE(project.ok()) << text;
    EXPECT_EQ(project.status().code(), StatusCode::kInvalidArgument) << text;
    EXPECT_NE(project.status().message().find(message), std::string::npos)
        << text << "\n -> " << project.status().message();
  }
}

TEST_F(ProjectTest, FindsTheFile) {
  EXPECT_EQ(LoadProject(options_).status().reason(), "compose_file_not_found");
  Write("docker-compose.yml", "services: {old: {image: i}}");
  EXPECT_NE(LoadProject(options_)->Find("old"), nullptr);
  Write("minibox-compose.yaml", "services: {own: {image: i}}");
  EXPECT_NE(LoadProject(options_)->Find("own"), nullptr);
  options_.file = options_.directory / "absent.yaml";
  EXPECT_EQ(LoadProject(options_).status().reason(), "compose_file_not_found");
}

TEST_F(ProjectTest, SelectsAlongTheGraph) {
  const auto project = Load(R"(
services:
  web: {image: i, depends_on: [api]}
  tool: {image: i, profiles: [debug], depends_on: [db]}
  api: {image: i, depends_on: [db]}
  db: {image: i}
)");
  ASSERT_TRUE(project.ok()) << project.status().ToString();
  const auto names = [&](std::vector<std::string> services, std::vector<std::string> profiles,
                         bool dependencies) {
    std::vector<std::string> list;
    const auto order = SelectServices(*project, services, profiles, dependencies);
    for (const Service* service : *order) {
      list.push_back(service->name);
    }
    return list;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(names({}, {}, true), (Names{"db", "api", "web"}));
  EXPECT_EQ(names({}, {"debug"}, true), (Names{"db", "api", "web", "tool"}));
  EXPECT_EQ(names({"api"}, {}, true), (Names{"db", "api"}));
  EXPECT_EQ(names({"tool", "web"}, {}, false), (Names{"web", "tool"}));
  EXPECT_EQ(SelectServices(*project, {"nope"}, {}, true).status().reason(), "service_not_found");
}

// Files as people publish them, with local images.
TEST_F(ProjectTest, ReadsCommonFiles) {
  const char* const kFiles[] = {
      R"(version: "3.9"
services:
  wordpress:
    image: wordpress:latest
    restart: unless-stopped
    ports:
      - "8000:80"
    environment:
      WORDPRESS_DB_HOST: db
      WORDPRESS_DB_PASSWORD: ${DB_PASSWORD:-secret}
    depends_on:
      - db
    volumes:
      - wordpress:/var/www/html
  db:
    image: mysql:8
    command: --default-authentication-plugin=mysql_native_password
    environment:
      - MYSQL_DATABASE=exampledb
      - MYSQL_RANDOM_ROOT_PASSWORD=1
    volumes:
      - type: volume
        source: db
        target: /var/lib/mysql
    healthcheck:
      test: mysqladmin ping -h localhost
      interval: 10s
volumes:
  wordpress:
  db: {}
)",
      R"(services:
  worker: &worker
    build: .
    command: ["celery", "-A", "app", "worker"]
    env_file: .env
    depends_on:
      redis: {condition: service_healthy}
  beat:
    <<: *worker
    command: ["celery", "-A", "app", "beat"]
  redis:
    image: redis:7-alpine
    healthcheck: {test: ["CMD", "redis-cli", "ping"], interval: 5s, retries: 5}
networks:
  default:
    name: queue
)",
      R"(services:
  prometheus:
    image: prom/prometheus
    user: "65534"
    command:
      - '--config.file=/etc/prometheus/prometheus.yml'
      - '--storage.tsdb.retention.time=15d'
    ports: ["9090:9090"]
    volumes: ["./prometheus.yml:/etc/prometheus/prometheus.yml:ro", "prom:/prometheus"]
    networks: [monitoring]
  grafana:
    image: grafana/grafana
    ports: ["127.0.0.1:3000:3000"]
    depends_on: [prometheus]
    networks: [monitoring]
    deploy: {resources: {limits: {cpus: "0.50", memory: 256M}, reservations: {memory: 64M}}}
    logging: {driver: json-file}
networks: {monitoring: {driver: bridge}}
volumes: {prom: {}}
)"};
  Write(".env", "X=1\n");
  for (const char* text : kFiles) {
    const auto project = Load(text);
    EXPECT_TRUE(project.ok()) << text << project.status().ToString();
  }
}

}  // namespace
}  // namespace minibox::compose
