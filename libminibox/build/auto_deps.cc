// SPDX-License-Identifier: Apache-2.0
#include "build/auto_deps.h"

#include <sys/stat.h>

#include <optional>
#include <utility>

#include "build/paths.h"
#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::build {
namespace {

class Detector {
 public:
  Detector(const core::RootDir& root, const std::string& workdir, std::string_view path, bool prod)
      : root_(root), workdir_(CleanPath(workdir)), path_(path), prod_(prod) {}

  StatusOr<std::vector<Installation>> Detect() {
    MBX_RETURN_IF_ERROR(Node());
    MBX_RETURN_IF_ERROR(Python());
    MBX_RETURN_IF_ERROR(Go());
    MBX_RETURN_IF_ERROR(Rust());
    MBX_RETURN_IF_ERROR(Ruby());
    MBX_RETURN_IF_ERROR(Php());
    MBX_RETURN_IF_ERROR(Maven());
    MBX_RETURN_IF_ERROR(Gradle());
    return std::move(found_);
  }

 private:
  using Arguments = std::vector<std::string>;

  bool HasFile(std::string_view name) const {
    const auto st = root_.Stat(JoinPath(workdir_, name));
    return st.ok() && S_ISREG(st->st_mode);
  }
  bool HasProgram(std::string_view name) const {
    for (const auto directory : core::StrSplit(path_, ':')) {
      const std::string where = CleanPath(ResolvePath("/" + workdir_, directory));
      const auto st = root_.Stat(JoinPath(where, name));
      if (st.ok() && S_ISREG(st->st_mode) && (st->st_mode & 0111) != 0) return true;
    }
    return false;
  }
  // "./mvnw" beside the project.
  bool HasWrapper(std::string_view name) const {
    const auto st = root_.Stat(JoinPath(workdir_, name));
    return st.ok() && S_ISREG(st->st_mode) && (st->st_mode & 0111) != 0;
  }

  // `argv[0]` is the tool; `verb` what it is told to do, for people.
  Status Add(std::string_view file, std::string_view verb, Arguments argv, Arguments env = {}) {
    const std::string tool = argv[0];
    if (!tool.starts_with("./") && !HasProgram(tool)) {
      return core::FailedPrecondition(
          "", core::StrCat("'", file, "' asks for '", tool, "', which is not in PATH"));
    }
    found_.push_back(
        {std::string(file), core::StrCat(tool, " ", verb), std::move(argv), std::move(env)});
    return {};
  }

  // pnpm and yarn also through corepack.
  Status AddNode(std::string_view file, std::string_view tool, std::string_view verb,
                 Arguments argv) {
    if (HasProgram(tool) || !HasProgram("corepack")) return Add(file, verb, std::move(argv));
    argv.insert(argv.begin(), "corepack");
    found_.push_back({std::string(file),
                      core::StrCat(tool, " ", verb),
                      std::move(argv),
                      {"COREPACK_ENABLE_DOWNLOAD_PROMPT=0"}});
    return {};
  }

  Status Node() {
    if (!HasFile("package.json")) return {};
    if (HasFile("pnpm-lock.yaml")) {
      Arguments argv = {"pnpm", "install", "--frozen-lockfile"};
      if (prod_) argv.emplace_back("--prod");
      return AddNode("pnpm-lock.yaml", "pnpm", "install", std::move(argv));
    }
    if (HasFile("yarn.lock")) {
      const bool berry = HasFile(".yarnrc.yml");
      if (berry && prod_) {
        return AddNode("yarn.lock", "yarn", "workspaces focus",
                       {"yarn", "workspaces", "focus", "--production"});
      }
      Arguments argv = {"yarn", "install", berry ? "--immutable" : "--frozen-lockfile"};
      if (prod_) argv.emplace_back("--production");
      return AddNode("yarn.lock", "yarn", "install", std::move(argv));
    }
    for (const char* lock : {"package-lock.json", "npm-shrinkwrap.json"}) {
      if (HasFile(lock)) return AddNpm(lock, "ci");
    }
    return AddNpm("package.json", "install");
  }

  Status AddNpm(std::string_view file, const char* verb) {
    Arguments argv = {"npm", verb};
    if (prod_) argv.emplace_back("--omit=dev");
    return Add(file, verb, std::move(argv));
  }

  Status Python() {
    if (HasFile("uv.lock")) {
      Arguments argv = {"uv", "sync", "--frozen"};
      if (prod_) argv.emplace_back("--no-dev");
      return Add("uv.lock", "sync", std::move(argv));
    }
    if (HasFile("poetry.lock")) {
      Arguments argv = {"poetry", "install", "--no-interaction", "--no-root"};
      if (prod_) argv.insert(argv.end(), {"--only", "main"});
      return Add("poetry.lock", "install", std::move(argv));
    }
    if (!HasFile("requirements.txt")) return {};
    const bool only_pip3 = !HasProgram("pip") && HasProgram("pip3");
    return Add("requirements.txt", "install",
               {only_pip3 ? "pip3" : "pip", "install", "-r", "requirements.txt"});
  }

  Status Go() {
    return HasFile("go.mod") ? Add("go.mod", "mod download", {"go", "mod", "download"}) : Status();
  }

  Status Rust() {
    if (!HasFile("Cargo.toml")) return {};
    const bool locked = HasFile("Cargo.lock");
    Arguments argv = {"cargo", "fetch"};
    if (locked) argv.emplace_back("--locked");
    return Add(locked ? "Cargo.lock" : "Cargo.toml", "fetch", std::move(argv));
  }

  Status Ruby() {
    if (!HasFile("Gemfile")) return {};
    const bool locked = HasFile("Gemfile.lock");
    Arguments env;
    if (locked) env.emplace_back("BUNDLE_FROZEN=true");
    if (prod_) env.emplace_back("BUNDLE_WITHOUT=development:test");
    return Add(locked ? "Gemfile.lock" : "Gemfile", "install", {"bundle", "install"},
               std::move(env));
  }

  Status Php() {
    if (!HasFile("composer.json")) return {};
    Arguments argv = {"composer", "install", "--no-interaction", "--no-progress"};
    if (prod_) argv.emplace_back("--no-dev");
    return Add("composer.json", "install", std::move(argv));
  }

  Status Maven() {
    if (!HasFile("pom.xml")) return {};
    Arguments argv = {HasWrapper("mvnw") ? "./mvnw" : "mvn", "-B", "dependency:go-offline"};
    if (prod_) argv.emplace_back("-DincludeScope=runtime");
    return Add("pom.xml", "dependency:go-offline", std::move(argv));
  }

  Status Gradle() {
    for (const char* file : {"build.gradle", "build.gradle.kts"}) {
      if (!HasFile(file)) continue;
      Arguments argv = {HasWrapper("gradlew") ? "./gradlew" : "gradle", "--no-daemon",
                        "dependencies"};
      if (prod_) argv.insert(argv.end(), {"--configuration", "runtimeClasspath"});
      return Add(file, "dependencies", std::move(argv));
    }
    return {};
  }

  const core::RootDir& root_;
  const std::string workdir_;
  const std::string_view path_;
  const bool prod_;
  std::vector<Installation> found_;
};

}  // namespace

StatusOr<std::vector<Installation>> DetectDependencies(const core::RootDir& root,
                                                       const std::string& workdir,
                                                       std::string_view path, bool prod) {
  return Detector(root, workdir, path, prod).Detect();
}

}  // namespace minibox::build
