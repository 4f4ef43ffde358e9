// SPDX-License-Identifier: Apache-2.0
#include "build/auto_deps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/strings.h"
#include "support/scratch.h"

namespace minibox::build {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class AutoDeps : public ::testing::Test {
 protected:
  void Has(const std::string& file, int mode = 0644) {
    scratch_.Write("root/app/" + file, "", mode);
  }
  void HasTool(const std::string& tool) { scratch_.Write("root/tools/" + tool, "", 0755); }
  // "file: label: command", further variables in front.
  std::vector<std::string> Detect(bool prod = false) {
    scratch_.Write("root/app/x", "");
    const auto root = core::RootDir::Open(scratch_.path() + "/root");
    EXPECT_TRUE(root.ok());
    const auto found = DetectDependencies(*root, "/app", "/bin:/tools", prod);
    if (!found.ok()) return {found.status().message()};
    std::vector<std::string> lines;
    for (const auto& one : *found) {
      std::string command = core::StrJoin(one.env, " ");
      if (!command.empty()) command += ' ';
      lines.push_back(one.file + ": " + one.label + ": " + command + core::StrJoin(one.argv, " "));
    }
    return lines;
  }
  testing::Scratch scratch_;
};

TEST_F(AutoDeps, NothingIsNothing) { EXPECT_THAT(Detect(), IsEmpty()); }

TEST_F(AutoDeps, NodeFollowsItsLockFile) {
  for (const char* tool : {"npm", "pnpm", "yarn"}) HasTool(tool);
  Has("yarn.lock");  // without package.json it says nothing
  EXPECT_THAT(Detect(), IsEmpty());
  Has("package.json");
  EXPECT_THAT(Detect(), ElementsAre("yarn.lock: yarn install: yarn install --frozen-lockfile"));
  EXPECT_THAT(Detect(true),
              ElementsAre("yarn.lock: yarn install: yarn install --frozen-lockfile --production"));
  Has(".yarnrc.yml");
  EXPECT_THAT(Detect(), ElementsAre("yarn.lock: yarn install: yarn install --immutable"));
  EXPECT_THAT(Detect(true),
              ElementsAre("yarn.lock: yarn workspaces focus: yarn workspaces focus --production"));
  Has("pnpm-lock.yaml");
  EXPECT_THAT(Detect(true),
              ElementsAre("pnpm-lock.yaml: pnpm install: pnpm install --frozen-lockfile --prod"));
}

TEST_F(AutoDeps, NpmInstallsWithAndWithoutLock) {
  HasTool("npm");
  Has("package.json");
  EXPECT_THAT(Detect(), ElementsAre("package.json: npm install: npm install"));
  Has("npm-shrinkwrap.json");
  EXPECT_THAT(Detect(true), ElementsAre("npm-shrinkwrap.json: npm ci: npm ci --omit=dev"));
  Has("package-lock.json");
  EXPECT_THAT(Detect(), ElementsAre("package-lock.json: npm ci: npm ci"));
}

TEST_F(AutoDeps, CorepackStandsInForPnpmAndYarn) {
  HasTool("corepack");
  Has("package.json");
  Has("pnpm-lock.yaml");
  EXPECT_THAT(Detect(), ElementsAre("pnpm-lock.yaml: pnpm install: "
                                    "COREPACK_ENABLE_DOWNLOAD_PROMPT=0 "
                                    "corepack pnpm install --frozen-lockfile"));
}

TEST_F(AutoDeps, EveryEcosystemThatMatchesIsRunInOrder) {
  for (const char* tool : {"npm", "pip3", "go", "cargo", "bundle", "composer", "mvn", "gradle"}) {
    HasTool(tool);
  }
  for (const char* file : {"package.json", "requirements.txt", "go.mod", "Cargo.toml", "Gemfile",
                           "composer.json", "pom.xml", "build.gradle.kts"}) {
    Has(file);
  }
  EXPECT_THAT(
      Detect(),
      ElementsAre("package.json: npm install: npm install",
                  "requirements.txt: pip3 install: pip3 install -r requirements.txt",
                  "go.mod: go mod download: go mod download",
                  "Cargo.toml: cargo fetch: cargo fetch", "Gemfile: bundle install: bundle install",
                  "composer.json: composer install: composer install --no-interaction "
                  "--no-progress",
                  "pom.xml: mvn dependency:go-offline: mvn -B dependency:go-offline",
                  "build.gradle.kts: gradle dependencies: gradle --no-daemon "
                  "dependencies"));
  for (const char* file : {"uv.lock", "Cargo.lock", "Gemfile.lock", "build.gradle"}) Has(file);
  for (const char* file : {"mvnw", "gradlew"}) Has(file, 0755);
  HasTool("uv");
  EXPECT_THAT(
      Detect(true),
      ElementsAre("package.json: npm install: npm install --omit=dev",
                  "uv.lock: uv sync: uv sync --frozen --no-dev",
                  "go.mod: go mod download: go mod download",
                  "Cargo.lock: cargo fetch: cargo fetch --locked",
                  "Gemfile.lock: bundle install: BUNDLE_FROZEN=true "
                  "BUNDLE_WITHOUT=development:test bundle install",
                  "composer.json: composer install: composer install --no-interaction "
                  "--no-progress --no-dev",
                  "pom.xml: ./mvnw dependency:go-offline: ./mvnw -B dependency:go-offline "
                  "-DincludeScope=runtime",
                  "build.gradle: ./gradlew dependencies: ./gradlew --no-daemon dependencies "
                  "--configuration runtimeClasspath"));
}

TEST_F(AutoDeps, PoetryComesBeforeRequirements) {
  HasTool("poetry");
  Has("poetry.lock");
  Has("requirements.txt");
  EXPECT_THAT(Detect(true), ElementsAre("poetry.lock: poetry install: poetry install "
                                        "--no-interaction --no-root --only main"));
}

TEST_F(AutoDeps, MissingToolIsAnError) {
  Has("go.mod");
  EXPECT_THAT(Detect(), ElementsAre("'go.mod' asks for 'go', which is not in PATH"));
  scratch_.Write("root/tools/go", "", 0644);  // nothing that could be run
  EXPECT_THAT(Detect(), ElementsAre(HasSubstr("not in PATH")));
}

}  // namespace
}  // namespace minibox::build
