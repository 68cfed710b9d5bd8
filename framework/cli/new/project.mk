# Builds, checks and installs @NAME@.so, a component of mls.
#
#   make             builds it               make install    puts it where mls finds it
#   make check       asks mls whether it is right: slopes, chunks, masks, options ...
#   make try         runs study.lua          make uninstall  takes it away again
#   make debug       runs the study's smoke test, -O0, under the undefined-behaviour sanitizer
#
# mls is found by pkg-config.  Not installed?  Name the folder that it was built in:
# make MLS=~/src/mls/build
NAME = @NAME@
MLS ?= @MLS@

CFLAGS ?= -O3 -g
FLAGS = -std=gnu11 -Wall -Wextra -fno-math-errno -fno-trapping-math -fPIC \
	-fvisibility=hidden -shared $(INCLUDE) $(CPPFLAGS)

ifneq ($(MLS),)
INCLUDE := -I'$(shell sed -n 's/^abs_srcdir = //p' '$(MLS)/Makefile')/framework/include'
FOUND := $(wildcard $(MLS)/libmls.a)
PROGRAM = '$(MLS)/mls'
else
PC = PKG_CONFIG_PATH="$$PKG_CONFIG_PATH:@PC@" pkg-config
INCLUDE := $(shell $(PC) --cflags mls)
FOUND := $(shell $(PC) --exists mls && echo yes)
PROGRAM := $(or $(wildcard $(shell $(PC) --variable=bindir mls)/mls),mls)
endif

# Alone with what came with mls: an older build of this plugin that was installed would
# be a second component of the same name.  OTHERS names further folders of plugins.
RUN = env MLS_PLUGIN_PATH='$(OTHERS)' XDG_DATA_HOME='$(CURDIR)/no-other-plugins' $(PROGRAM)

all: $(NAME).so

$(NAME).so: $(NAME).c Makefile
	@test -n '$(FOUND)' || { echo "mls is not found: set PKG_CONFIG_PATH to the folder \
	of mls.pc, or say make MLS=the folder that it was built in" >&2; exit 1; }
	$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $(NAME).c -lm

check: all
	$(RUN) validate ./$(NAME).so

try: all
	$(RUN) run study.lua --plugin-path ./$(NAME).so

# -fsanitize=address needs an mls that has it too: configure --enable-sanitize, then
# make debug MLS=that-build SANITIZE=address,undefined
SANITIZE = undefined
debug:
	@mkdir -p debug
	$(CC) $(FLAGS) -O0 -g -fsanitize=$(SANITIZE) -fno-sanitize-recover=undefined \
	  -o debug/$(NAME).so $(NAME).c -lm
	$(RUN) run study.lua --smoke --results debug --plugin-path debug/$(NAME).so

# TO: the folder; else the first of MLS_PLUGIN_PATH, else the user's own.
FOLDER = folder='$(TO)'; : "$${folder:=$${MLS_PLUGIN_PATH%%:*}}"; \
	: "$${folder:=$${XDG_DATA_HOME:-$$HOME/.local/share}/mls/plugins}"; \
	folder='$(DESTDIR)'"$$folder"

# A copy beside it and then a new name: a running mls keeps the file that it has loaded.
install: all
	@$(FOLDER); mkdir -p "$$folder" && cp $(NAME).so "$$folder/.$(NAME).so.new" && \
	  mv "$$folder/.$(NAME).so.new" "$$folder/$(NAME).so" && echo "installed $$folder/$(NAME).so"

uninstall:
	@$(FOLDER); rm -f "$$folder/$(NAME).so" && echo "removed $$folder/$(NAME).so"

clean:
	rm -rf $(NAME).so debug

.PHONY: all check try debug install uninstall clean
