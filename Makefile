# fnboot: `make` builds pkg/bootstrap, `make invoke EVENT='Hello World'` calls it, `make test` checks
# everything. `make help` lists the rest. Each target installs what it needs and says so.

ARCH    ?= x86_64
PORT    ?= 8000
MEMORY  ?= 512
TIMEOUT ?= 60

TARGET  := $(ARCH)-unknown-linux-musl
ifeq ($(ARCH),x86_64)
PKG     := pkg
else
PKG     := pkg/$(ARCH)
endif
PROGRAM ?= $(PKG)/bootstrap
TOOL    := target/debug/fnboot
BUILT   := target/$(TARGET)/release

# The linker that comes with Rust: no C toolchain is needed for the target. No unwind tables, and no
# path of the machine that builds.
FLAGS   := -C force-unwind-tables=no --remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=cargo
UPPER   := $(shell echo $(ARCH) | tr a-z A-Z)
CROSS   := CARGO_TARGET_$(UPPER)_UNKNOWN_LINUX_MUSL_LINKER=rust-lld \
           CARGO_TARGET_$(UPPER)_UNKNOWN_LINUX_MUSL_RUSTFLAGS="$(FLAGS)"
STATIC  := $(CROSS) cargo build --quiet --release --target $(TARGET)

.PHONY: musl help target tool invoke serve package example examples fixture \
        test gates slow bench wrk coldstart deploy clean

musl: target ## the static binary at pkg/bootstrap (ARCH=aarch64: pkg/aarch64/bootstrap)
	@$(STATIC) --bin bootstrap
	@mkdir -p $(PKG)
	@cmp -s $(BUILT)/bootstrap $(PKG)/bootstrap || install -m 755 $(BUILT)/bootstrap $(PKG)/bootstrap
	@echo "$(PKG)/bootstrap: $$(wc -c < $(PKG)/bootstrap) bytes"

help: ## this list
	@grep -hE '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9]+):[^#]*## (.*)/  make \1\t\2/' | expand -t 20

target:
	@rustup target list --installed 2>/dev/null | grep -qx $(TARGET) || \
		{ echo "installing the Rust target $(TARGET)"; rustup target add $(TARGET); }

tool: ## the local tool at target/debug/fnboot
	@cargo build --quiet --features local --bin fnboot

invoke: musl tool ## call pkg/bootstrap: EVENT='…' or EVENT_FILE=… or HTTP='GET /path'; INIT=1 MEMORY= TIMEOUT= PROGRAM=
	@$(TOOL) invoke --memory $(MEMORY) --timeout $(TIMEOUT) $(if $(INIT),--init) \
		$(if $(HTTP),--http "$$HTTP") \
		$(if $(EVENT_FILE),--event-file "$$EVENT_FILE",$(if $(EVENT),--event "$$EVENT")) $(PROGRAM)
export EVENT EVENT_FILE HTTP

serve: musl tool ## a local endpoint on PORT=8000 that plays the platform's gateway
	@$(TOOL) serve --port $(PORT) --memory $(MEMORY) --timeout $(TIMEOUT) $(if $(INIT),--init) $(PROGRAM)

package: musl tool ## pkg/bootstrap.zip, ready to deploy
	@$(TOOL) package --output $(PKG)/bootstrap.zip $(PKG)/bootstrap

example: target ## a function of examples/ as a static bootstrap: NAME=event
	@$(STATIC) --example $(NAME) $(if $(filter json,$(NAME)),--features std)
	@mkdir -p $(PKG)/$(NAME)
	@install -m 755 $(BUILT)/examples/$(NAME) $(PKG)/$(NAME)/bootstrap
	@echo "$(PKG)/$(NAME)/bootstrap: $$(wc -c < $(PKG)/$(NAME)/bootstrap) bytes"

deploy: package ## deploy to Function Compute with Serverless Devs and s.yaml
	s deploy -y

clean: ## forget everything that was built
	cargo clean
	rm -rf pkg
