# Building, installing and packaging for those who do not want to know about cargo.
#
#   make                          build
#   make install                  under /usr/local; units, man pages and examples too
#   make install DESTDIR=/tmp/x PREFIX=/usr
#   make uninstall                what install put there; never /etc/pppoed or /var/lib/pppoed
#   make deb                      a Debian package in target/debian

PREFIX ?= /usr/local
DESTDIR ?=
SBINDIR ?= $(PREFIX)/sbin
BINDIR ?= $(PREFIX)/bin
MANDIR ?= $(PREFIX)/share/man
DATADIR ?= $(PREFIX)/share/pppoed
DOCDIR ?= $(PREFIX)/share/doc/pppoed
# Where bash-completion looks.
BASHCOMPDIR ?= $(PREFIX)/share/bash-completion/completions
# Texts for "journalctl -x", after "journalctl --update-catalog".
CATALOGDIR ?= $(PREFIX)/lib/systemd/catalog
# Where systemd and others look is not a matter of the prefix, but for packages.
ifeq ($(PREFIX),/usr)
UNITDIR ?= /lib/systemd/system
SYSUSERSDIR ?= /usr/lib/sysusers.d
TMPFILESDIR ?= /usr/lib/tmpfiles.d
else
UNITDIR ?= /etc/systemd/system
SYSUSERSDIR ?= /etc/sysusers.d
TMPFILESDIR ?= /etc/tmpfiles.d
endif
CARGO ?= cargo
CARGO_TARGET_DIR ?= target
# Programs to install: made by "make", or where they are.
BUILT ?= $(CARGO_TARGET_DIR)/release

INSTALL = install -D
# The unit, the init script and the man pages name the programs by where they are.
PLACED = sed -e 's|/usr/sbin/pppoed|$(SBINDIR)/pppoed|g' -e 's|/usr/bin/pppctl|$(BINDIR)/pppctl|g'

.PHONY: all install uninstall deb

all:
	$(CARGO) build --release --locked -p pppoed -p ppp-worker -p pppctl

install:
	$(INSTALL) -m 755 $(BUILT)/pppoed $(DESTDIR)$(SBINDIR)/pppoed
	$(INSTALL) -m 755 $(BUILT)/ppp-worker $(DESTDIR)$(SBINDIR)/ppp-worker
	$(INSTALL) -m 755 $(BUILT)/pppctl $(DESTDIR)$(BINDIR)/pppctl
	$(INSTALL) -d $(DESTDIR)$(UNITDIR)
	$(PLACED) etc/systemd/pppoed.service > $(DESTDIR)$(UNITDIR)/pppoed.service
	chmod 644 $(DESTDIR)$(UNITDIR)/pppoed.service
	$(INSTALL) -m 644 etc/sysusers.d/pppoed.conf $(DESTDIR)$(SYSUSERSDIR)/pppoed.conf
	$(INSTALL) -m 644 etc/tmpfiles.d/pppoed.conf $(DESTDIR)$(TMPFILESDIR)/pppoed.conf
	$(INSTALL) -m 644 etc/pppoed.catalog $(DESTDIR)$(CATALOGDIR)/pppoed.catalog
	$(INSTALL) -m 644 etc/bash-completion/pppctl $(DESTDIR)$(BASHCOMPDIR)/pppctl
	$(INSTALL) -d $(DESTDIR)$(DATADIR)
	$(PLACED) etc/init.d/pppoed > $(DESTDIR)$(DATADIR)/pppoed.init
	chmod 755 $(DESTDIR)$(DATADIR)/pppoed.init
	for page in man/*.[1-8]; do \
		[ -e "$$page" ] || continue; \
		$(INSTALL) -m 644 "$$page" "$(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}" || exit 1; \
	done
	for script in scripts/*.lua; do \
		[ -e "$$script" ] || continue; \
		$(INSTALL) -m 644 "$$script" "$(DESTDIR)$(DATADIR)/hooks/$${script##*/}" || exit 1; \
	done
	$(INSTALL) -m 644 README.md $(DESTDIR)$(DOCDIR)/README.md
	for page in docs/*.md docs/*/*.md; do $(INSTALL) -m 644 "$$page" "$(DESTDIR)$(DOCDIR)/$$page" || exit 1; done
	[ -e $(DESTDIR)/etc/pppoed/pppoed.toml ] || $(INSTALL) -m 644 etc/pppoed.toml $(DESTDIR)/etc/pppoed/pppoed.toml
	[ -e $(DESTDIR)/etc/default/pppoed ] || $(INSTALL) -m 644 etc/default/pppoed $(DESTDIR)/etc/default/pppoed

uninstall:
	rm -f $(DESTDIR)$(SBINDIR)/pppoed $(DESTDIR)$(SBINDIR)/ppp-worker $(DESTDIR)$(BINDIR)/pppctl
	rm -f $(DESTDIR)$(UNITDIR)/pppoed.service $(DESTDIR)$(CATALOGDIR)/pppoed.catalog $(DESTDIR)$(BASHCOMPDIR)/pppctl
	rm -f $(DESTDIR)$(SYSUSERSDIR)/pppoed.conf $(DESTDIR)$(TMPFILESDIR)/pppoed.conf
	for page in man/*.[1-8]; do rm -f "$(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}"; done
	rm -rf $(DESTDIR)$(DATADIR) $(DESTDIR)$(DOCDIR)

deb: all
	scripts/build-deb $(BUILT) $(CARGO_TARGET_DIR)/debian
