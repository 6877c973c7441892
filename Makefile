# fnboot: `make` builds pkg/bootstrap, `make invoke EVENT='Hello World'` calls it, `make test` checks
# everything. `make help` lists the rest. Each target installs what it needs and says so.

ARCH    ?= x86_64
NAME    ?= event
PORT    ?= 8000
MEMORY  ?= 512
TIMEOUT ?= 60
FUZZ_SECONDS ?= 60
SOAK_SECONDS ?= 600

# Only Lambda runs arm64.
PLATFORM ?= $(if $(filter aarch64,$(ARCH)),lambda,fc)

TARGET  := $(ARCH)-unknown-linux-musl
ifeq ($(ARCH),x86_64)
PKG     := pkg
else
PKG     := pkg/$(ARCH)
endif
PROGRAM ?= $(PKG)/bootstrap
# What goes behind it is read by the shell alone: make would take a dollar in it for a variable.
ifeq ($(origin PROGRAM),command line)
override PROGRAM := $(value PROGRAM)
endif
# A function in a folder: CODE is started there, and HANDLER is the function's name.
FUNCTION = $(if $(CODE),--code "$$CODE") $(if $(HANDLER),--handler "$$HANDLER")
# Only our own program is built before it is called.
OURS    := $(if $(filter $(abspath $(PKG)/bootstrap),$(abspath $(firstword $(PROGRAM)))),musl)
TOOL    := target/debug/fnboot
BUILT   := target/$(TARGET)/release

# The linker that comes with Rust: no C toolchain is needed for the target. No unwind tables, and no
# path of the machine that builds.
FLAGS   := -C force-unwind-tables=no --remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=cargo
UPPER   := $(shell echo $(ARCH) | tr a-z A-Z)
CROSS   := CARGO_TARGET_$(UPPER)_UNKNOWN_LINUX_MUSL_LINKER=rust-lld \
           CARGO_TARGET_$(UPPER)_UNKNOWN_LINUX_MUSL_RUSTFLAGS="$(FLAGS)"
STATIC  := $(CROSS) cargo build --quiet --release --target $(TARGET)
# A program with std unwinds, so that a panic fails its call alone; that needs the tables.
UNWIND  := $(subst no --remap,yes --remap,$(CROSS)) CARGO_PROFILE_RELEASE_PANIC=unwind \
           cargo build --quiet --release --target $(TARGET) --features std
EXAMPLES := event http json concurrent

# Debian keeps servers and debootstrap in folders that a user's PATH lacks.
export PATH := $(PATH):/usr/sbin:/sbin
# $(call unless,TEST,WHAT,COMMAND): what is not there is installed, or one line says how to get it.
# Standard output is left to the answer of `make invoke`.
unless = @{ $(1); } >/dev/null 2>&1 || { echo "installing $(2)" >&2; $(3); } >&2 || \
         { echo "fnboot: cannot install $(2); to be done by hand: $(3)" >&2; exit 1; }
APT := $(if $(filter 0,$(shell id -u)),,sudo) env DEBIAN_FRONTEND=noninteractive apt-get -qq
# An index that cannot be fetched is no reason not to try.
apt = $(APT) update; $(APT) install -y --no-install-recommends $(1)
# $(call need,COMMAND,PACKAGES): a program of the system (Debian, Ubuntu).
need = $(call unless,command -v $(1),$(2),$(call apt,$(2)))
# $(call nightly,COMPONENT): a component of nightly Rust; its parts lie in NIGHTLY.
NIGHTLY = $$(rustc +nightly --print sysroot)/lib/rustlib
nightly = $(call unless,grep -q '^$(1)' $(NIGHTLY)/components,nightly Rust with $(1),\
          rustup toolchain install nightly --no-self-update --profile minimal --component $(1))
# A module is a file of its own: nginx may be there without it.
LUA_MODULE := /usr/lib/nginx/modules/ngx_http_lua_module.so
ECHO_MODULE := /usr/lib/nginx/modules/ngx_http_echo_module.so

.PHONY: musl smallest prices help target aarch64 linker tool invoke serve package example examples fixture \
        test lint unit integration gates slow miri fuzz soak oldest peers languages newcomer bench wrk coldstart programs web deploy clean

# Two targets may write the same file of target/, and cargo uses all cores by itself.
.NOTPARALLEL:

musl: linker target ## the static binary at pkg/bootstrap (ARCH=aarch64: pkg/aarch64/bootstrap)
	@$(STATIC) --bin bootstrap
	@mkdir -p $(PKG)
	@cmp -s $(BUILT)/bootstrap $(PKG)/bootstrap || install -m 755 $(BUILT)/bootstrap $(PKG)/bootstrap
	@echo "$(PKG)/bootstrap: $$(wc -c < $(PKG)/bootstrap) bytes" >&2

help: ## this list
	@grep -hE '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9]+):[^#]*## (.*)/  make \1\t\2/' | expand -t 20

aarch64:
	@$(MAKE) --no-print-directory musl ARCH=aarch64

target:
	@rustup target list --installed 2>/dev/null | grep -qx $(TARGET) || \
		{ echo "installing the Rust target $(TARGET)" >&2; rustup target add $(TARGET); }

# Cargo links build scripts with it: they run on this machine, whatever the target is.
linker:
	$(call need,cc,gcc libc6-dev)

tool: linker ## the local tool at target/debug/fnboot
	@cargo build --quiet --features local --bin fnboot

invoke: $(OURS) tool ## call pkg/bootstrap: EVENT='…' or EVENT_FILE=… or HTTP='GET /path'; INIT=1 MEMORY= TIMEOUT= PLATFORM=; PROGRAM='pkg/bootstrap command cat'; CODE=examples/bash HANDLER=function.handler
	@$(TOOL) invoke --platform $(PLATFORM) --memory $(MEMORY) --timeout $(TIMEOUT) $(if $(INIT),--init) \
		$(FUNCTION) $(if $(HTTP),--http "$$HTTP") \
		$(if $(EVENT_FILE),--event-file "$$EVENT_FILE",$(if $(EVENT),--event "$$EVENT")) $(PROGRAM)
# As they were given: see PROGRAM.
override EVENT := $(value EVENT)
override EVENT_FILE := $(value EVENT_FILE)
override HTTP := $(value HTTP)
override CODE := $(value CODE)
override HANDLER := $(value HANDLER)
export EVENT EVENT_FILE HTTP CODE HANDLER

serve: $(OURS) tool ## a local endpoint on PORT=8000 that plays the platform's gateway
	@$(TOOL) serve --platform $(PLATFORM) --port $(PORT) --memory $(MEMORY) --timeout $(TIMEOUT) $(if $(INIT),--init) \
		$(FUNCTION) $(PROGRAM)

package: musl tool ## pkg/bootstrap.zip, ready to deploy (PLATFORM=scf: pkg/scf, too; and WEB=1: a web function of SCF, pkg/scf.zip)
	@$(TOOL) package --platform $(PLATFORM) $(if $(WEB),--web) --output $(PKG)/$(if $(WEB),scf,bootstrap).zip \
		$(FUNCTION) $(PKG)/bootstrap
ifeq ($(PLATFORM),scf)
	@rm -rf $(PKG)/scf
	@install -D -m 755 $(PKG)/bootstrap $(PKG)/scf/$(if $(WEB),scf_,)bootstrap
	@$(if $(CODE),cp -R "$$CODE/." $(PKG)/scf)
endif

# $(call build,NAME,FEATURES,EXAMPLE): the program, or a function of examples/, with some of the features, at
# pkg/NAME/bootstrap, and its zip.
define build
	@$(STATIC) --no-default-features --features $(2) $(if $(3),--example $(3),--bin bootstrap)
	@mkdir -p $(PKG)/$(1)
	@install -m 755 $(BUILT)/$(if $(3),examples/$(3),bootstrap) $(PKG)/$(1)/bootstrap
	@$(TOOL) package --output $(PKG)/$(1)/bootstrap.zip $(PKG)/$(1)/bootstrap 2>/dev/null
	@echo "$(PKG)/$(1)/bootstrap: $$(wc -c < $(PKG)/$(1)/bootstrap) bytes, zip $$(wc -c < $(PKG)/$(1)/bootstrap.zip)"
endef

smallest: linker target tool ## the smallest program, for one platform alone: pkg/fc/bootstrap and its zip
	$(call build,fc,fc)

# What each feature costs: the gates ask.
prices: smallest
	$(call build,clouds,$(CLOUDS))
	$(call build,command,$(CLOUDS)$(comma)command)
	$(call build,cgi,$(CLOUDS)$(comma)cgi)
	$(call build,cgi-gateway,$(CLOUDS)$(comma)cgi$(comma)gateway)
	$(call build,web,$(CLOUDS)$(comma)command$(comma)web)
	$(call build,worker,$(CLOUDS)$(comma)command$(comma)worker)
	$(call build,unused-gateway,$(CLOUDS)$(comma)gateway)
	$(call build,no-gateway,$(CLOUDS),http)
	$(call build,gateway,$(CLOUDS)$(comma)gateway,http)
comma := ,
CLOUDS := fc$(comma)lambda$(comma)scf

example: linker target ## a function of examples/ as a static bootstrap: NAME=event
	@$(if $(filter json concurrent,$(NAME)),$(UNWIND),$(STATIC)) --example $(NAME)
	@mkdir -p $(PKG)/$(NAME)
	@install -m 755 $(BUILT)/examples/$(NAME) $(PKG)/$(NAME)/bootstrap
	@echo "$(PKG)/$(NAME)/bootstrap: $$(wc -c < $(PKG)/$(NAME)/bootstrap) bytes"

examples: ## all functions of examples/
	@for name in $(EXAMPLES); do $(MAKE) --no-print-directory example NAME=$$name || exit 1; done

fixture: linker target ## the functions that the integration tests call
	@$(STATIC) --example fixture
	@$(UNWIND) --example fixture_std --example deferred --example http_events --example site --example asker
	@cargo build --quiet --example chaos
	@for name in without_memfd spawn; do cc -O1 -o $(BUILT)/examples/$$name tests/fixture/$$name.c || exit 1; done
	@cc -O1 -o $(BUILT)/examples/worker benches/peers/spawn/worker.c

test: lint unit integration ## everything CI runs

lint: linker
	@cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	@cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
	cargo fmt --check
	cargo clippy --quiet --all-targets --features local -- -D warnings
	cargo clippy --quiet --lib --bins --examples -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps --features std

unit: linker
	cargo test --quiet --features local --lib --bin fnboot --benches
	cargo test --quiet --doc
	cargo test --quiet --doc --features std

integration: prices package examples fixture aarch64
	$(call need,strace,strace)
	$(call need,valgrind,valgrind)
	$(call need,qemu-aarch64,qemu-user)
	$(call need,ip,iproute2)
	$(call need,php,php-cli)
	$(call need,python3,python3)
	$(call need,node,nodejs)
	$(call need,pip3,python3-pip)
	$(call need,git,git)
	$(call need,curl,curl)
	cargo test --quiet --test it
	@tests/languages bash php python c flask scf_bootstrap lambda_bootstrap

gates: prices package fixture ## the counters of pkg/bootstrap alone: bytes, system calls, faults, memory, instructions
	$(call need,strace,strace)
	$(call need,valgrind,valgrind)
	cargo test --quiet --test it gates -- --nocapture --test-threads 1

slow: miri fuzz soak oldest peers languages newcomer ## Miri, fuzzing (FUZZ_SECONDS=60 per target), a cruel API (SOAK_SECONDS=600) and functions that misbehave, the oldest Rust, other people's clients, every language, fresh machines

# The code that hands out uninitialized places and parses; what is around it only counts.
miri: linker
	$(call nightly,miri)
	$(call nightly,rust-src)
	MIRIFLAGS=-Zmiri-strict-provenance cargo +nightly miri test --quiet --lib -- http::head http::body http::chunk http::write bytes platform::json platform::gateway

fuzz: linker
	$(call nightly,rust-src)
	$(call need,c++,g++)
	@cargo fuzz --version >/dev/null 2>&1 || { echo "installing cargo-fuzz"; cargo install --quiet --locked cargo-fuzz; }
	@for target in head exchange response chunk json; do mkdir -p target/fuzz/$$target; \
		cargo +nightly fuzz run --fuzz-dir tests/fuzz $$target target/fuzz/$$target tests/fuzz/corpus/$$target \
		-- -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 || exit 1; done

# A failure prints its seed: FNBOOT_SEED=… cargo test --test it cruel (or chaos)
soak: fixture tool
	FNBOOT_SOAK_SECONDS=$(SOAK_SECONDS) cargo test --quiet --test it cruel -- --nocapture --test-threads 1
	FNBOOT_CHAOS_SECONDS=60 cargo test --quiet --test it chaos:: -- --test-threads 1
	FNBOOT_COMMAND_EVENTS=10000 cargo test --quiet --test it command::marks -- --test-threads 1
	FNBOOT_FUNCTION_EVENTS=10000 cargo test --quiet --test it function::marks -- --test-threads 1
	FNBOOT_WEB_CALLS=10000 cargo test --quiet --test it web::marks -- --test-threads 1
	FNBOOT_WORKER_RESTARTS=1000 cargo test --quiet --test it worker::marks -- --test-threads 1
	FNBOOT_WORKER_SECONDS=30 cargo test --quiet --test it worker::mixed -- --test-threads 1
	FNBOOT_WORKER_PATIENCE=1 cargo test --quiet --test it worker::starts::one_that_never_asks

# What Cargo.toml declares, so that cargo refuses an older one.
OLDEST = $$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
oldest: linker ## library, programs, examples and the local tool with the oldest Rust that is declared
	$(call unless,cargo +$(OLDEST) --version,the oldest Rust,rustup toolchain install $(OLDEST) --no-self-update --profile minimal)
	CARGO_TARGET_DIR=target/oldest cargo +$(OLDEST) check --quiet --lib --bins --examples --features local

peers: musl tool fixture
	$(call need,curl,curl)
	$(call need,nginx,nginx-light)
	$(call need,python3,python3)
	$(call need,pip3,python3-pip)
	@tests/peers
	@tests/lambda
	@tests/sdks
	@tests/runtimes

languages: musl tool ## the functions of examples/ in ten languages, and servers, on the three platforms
	$(call need,php,php-cli)
	$(call need,python3,python3)
	$(call need,node,nodejs)
	$(call need,npm,npm)
	$(call need,ruby,ruby)
	$(call need,lua,lua5.4)
	$(call need,go,golang-go)
	$(call need,g++,g++)
	$(call need,pip3,python3-pip)
	$(call need,curl,curl)
	$(call unless,test -e $(LUA_MODULE),nginx with Lua,$(call apt,libnginx-mod-http-lua))
	@tests/languages

newcomer: ## README's first commands on minimal machines, as root and as a user
	$(call need,debootstrap,debootstrap)
	$(call need,git,git)
	@tests/newcomer

bench: linker ## the protocol in memory
	cargo bench --quiet --bench http

# The smallest builds of the peers make the standard library anew, and link it to the target's C library.
define SMALLEST
$(call nightly,rust-src)
$(call unless,test -d $(NIGHTLY)/$(TARGET),nightly Rust's $(TARGET),rustup target add --toolchain nightly $(TARGET))
endef

wrk: musl linker ## against other servers under load (MEASURE_…: benches/wrk.rs)
	$(call need,wrk,wrk)
	$(call need,nginx,nginx-light)
	$(call unless,test -e $(ECHO_MODULE),nginx's echo module,$(call apt,libnginx-mod-http-echo))
	$(call need,go,golang-go)
	$(SMALLEST)
	cargo bench --quiet --bench wrk

coldstart: musl linker ## against other servers, from start to the first answer (MEASURE_…: benches/coldstart.rs)
	$(call need,strace,strace)
	$(call need,nginx,nginx-light)
	$(call need,go,golang-go)
	$(SMALLEST)
	cargo bench --quiet --bench coldstart

programs: musl linker ## functions that are programs, against bare loops and other runtimes (MEASURE_…, WATCHDOG: benches/programs.rs)
	$(call need,bash,bash)
	$(call need,curl,curl)
	$(call need,php,php-cli)
	$(call need,python3,python3)
	$(call need,node,nodejs)
	cargo bench --quiet --bench programs

web: musl linker ## servers as functions, against other adapters (MEASURE_…, ADAPTER, WATCHDOG: benches/web.rs)
	cargo bench --quiet --bench web

DEVS := npm install -g @serverless-devs/s && s config add
deploy: package ## deploy to Function Compute with Serverless Devs and s.yaml
	@command -v s >/dev/null || { echo "fnboot: no Serverless Devs; with Node.js: $(DEVS)" >&2; exit 1; }
	s deploy -y

clean: ## forget everything that was built
	cargo clean
	rm -rf pkg
