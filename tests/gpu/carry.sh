#!/bin/bash
# Packs what the window needs and a bare machine lacks into .carry/, to be taken along there:
# the parts of PyQt6 that the window uses, pyqtgraph, cmap, platformdirs, and system libraries.
# To be run on Linux for x86-64 with pip, apt-get and xz; PYTHON is any Python with pip.
set -eu
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-python3}
TARGET_PYTHON=${TARGET_PYTHON:-3.12}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pinned() { grep -E "^$1==" requirements.txt | sed 's/[ #].*//'; }

wheels=()
for name in PyQt6 PyQt6-Qt6 pyqtgraph cmap platformdirs pillow; do wheels+=("$(pinned $name)"); done
platforms=()
for glibc in 2_39 2_34 2_28 2_27 2_17; do platforms+=(--platform "manylinux_${glibc}_x86_64"); done
"$PYTHON" -m pip download -q --no-deps --only-binary=:all: --python-version "$TARGET_PYTHON" \
  --implementation cp "${platforms[@]}" --platform manylinux2014_x86_64 -d "$work/wheels" \
  "${wheels[@]}" PyQt6-sip
site=$work/carried/site
mkdir -p "$site" "$work/carried/system" .carry
for wheel in "$work"/wheels/*.whl; do unzip -q -o "$wheel" -d "$site"; done

# Of PyQt6 only what is imported here, and of Qt only the libraries and plugins behind it.
modules="QtCore|QtGui|QtWidgets|QtOpenGL|QtOpenGLWidgets|QtSvg|QtTest"
find "$site/PyQt6" -maxdepth 1 -name "Qt*.abi3.so" | grep -Ev "/($modules)\.abi3\.so" | xargs rm -f
libraries="Core|Gui|Widgets|DBus|OpenGL|OpenGLWidgets|Svg|Test"
find "$site/PyQt6/Qt6/lib" -type f | grep -Ev "/(libQt6($libraries)\.so|libicu)" | xargs rm -f
find "$site/PyQt6/Qt6/plugins" -type f |
  grep -Ev "/(platforms/libqoffscreen|imageformats/)" | xargs rm -f
rm -rf "$site"/PyQt6/{bindings,lupdate} "$site"/PyQt6/Qt6/{qml,translations,qsci,resources} \
  "$site"/pyqtgraph/examples "$site"/*.dist-info/RECORD
find "$site" -name "*.pyi" -delete

packages="libegl1 libgl1 libglvnd0 libglx0 libopengl0 libglib2.0-0 libdbus-1-3 libfontconfig1
  libfreetype6 libpng16-16 libexpat1 libbrotli1 libpcre2-8-0 libx11-6 libxcb1 libxau6 libxdmcp6
  libbsd0 libmd0 libxkbcommon0 xkb-data fontconfig-config fonts-dejavu-core"
# shellcheck disable=SC2086
(cd "$work" && apt-get -q download $packages >/dev/null)
for package in "$work"/*.deb; do dpkg -x "$package" "$work/carried/system"; done
rm -rf "$work/carried/system/usr/share/doc"

tar -cJf .carry/window.tar.xz -C "$work/carried" .
cat >.carry/use.sh <<'USE'
# Sourced by check.sh: unpacks what was carried and puts it on the paths, behind what is there.
carried=/tmp/r2l-carried
mkdir -p $carried && tar -xJf .carry/window.tar.xz -C $carried
export PYTHONPATH=${PYTHONPATH:+$PYTHONPATH:}$carried/site
system=$carried/system
export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$system/usr/lib/x86_64-linux-gnu:$system/lib/x86_64-linux-gnu
export XKB_CONFIG_ROOT=$system/usr/share/X11/xkb
echo "<fontconfig><dir>$system/usr/share/fonts</dir><cachedir>/tmp/r2l-fonts</cachedir></fontconfig>" >$carried/fonts.conf
export FONTCONFIG_FILE=$carried/fonts.conf QT_QPA_FONTDIR=$system/usr/share/fonts/truetype/dejavu
USE
du -sh .carry/*
