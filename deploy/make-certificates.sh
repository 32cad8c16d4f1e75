#!/bin/sh
# Makes the certificates of a Dask cluster that trusts one authority, which is made with the first of them.
#
#   sh make-certificates.sh FOLDER node:head node:build1 node:10.0.0.7 user:ada
#
# node:HOST  a certificate for a scheduler or a worker: it is shown to those who connect, and to those it connects to
# user:NAME  a certificate for a person who starts runs: it only connects
#
# Each gets NAME.pem and NAME-key.pem in FOLDER; ca.pem is for all. ca-key.pem makes further ones: keep it off the cluster.
# The holder of any of these keys can run programs on the scheduler, as its user.
set -eu
umask 077

if [ $# -lt 2 ]; then
    echo "usage: $0 FOLDER node:HOST|user:NAME..." >&2
    exit 2
fi
folder=$1
shift
mkdir -p "$folder"
work=$(mktemp -d "$folder/.new.XXXXXX")
trap 'rm -rf "$work"' EXIT

make_key() {
    openssl ecparam -name prime256v1 -genkey -noout -out "$work/key.pem"
}

# request NAME: a request for a certificate of the key, whose extensions are in $work/extensions
request() {
    printf '[req]\ndistinguished_name = name\nprompt = no\n[name]\nCN = %s\n' "$1" >"$work/request"
    openssl req -new -sha256 -config "$work/request" -key "$work/key.pem" -out "$work/request.pem"
}

if [ ! -e "$folder/ca-key.pem" ]; then
    make_key
    {
        echo 'basicConstraints = critical, CA:TRUE, pathlen:0'
        echo 'keyUsage = critical, keyCertSign, cRLSign'
        echo 'subjectKeyIdentifier = hash'
    } >"$work/extensions"
    request gitbatch-cluster
    openssl x509 -req -sha256 -days 3650 -in "$work/request.pem" -signkey "$work/key.pem" \
        -extfile "$work/extensions" -out "$folder/ca.pem" 2>"$work/said" || { cat "$work/said" >&2; exit 1; }
    mv "$work/key.pem" "$folder/ca-key.pem"
fi

for each in "$@"; do
    name=${each#*:}
    case $name in
    '' | *[!A-Za-z0-9._:-]* | -* | .* | ca | *-key) echo "invalid name: $each" >&2; exit 2 ;;
    *[!0-9.]*) address="DNS:$name" ;;
    *) address="IP:$name" ;;
    esac
    case $name in *:*) address="IP:$name" ;; esac
    case $each in
    node:*) purposes='serverAuth, clientAuth' ;;
    user:*) purposes=clientAuth address="DNS:$name" ;;
    *) echo "neither node:HOST nor user:NAME: $each" >&2; exit 2 ;;
    esac
    if [ -e "$folder/$name-key.pem" ]; then
        echo "kept: $folder/$name.pem"
        continue
    fi
    make_key
    {
        echo 'basicConstraints = critical, CA:FALSE'
        echo 'keyUsage = critical, digitalSignature'
        echo "extendedKeyUsage = $purposes"
        echo "subjectAltName = $address"
        echo 'subjectKeyIdentifier = hash'
        echo 'authorityKeyIdentifier = keyid'
    } >"$work/extensions"
    request "$name"
    openssl x509 -req -sha256 -days 825 -in "$work/request.pem" -CA "$folder/ca.pem" -CAkey "$folder/ca-key.pem" \
        -set_serial "0x$(openssl rand -hex 16)" -extfile "$work/extensions" -out "$work/made.pem" 2>"$work/said" ||
        { cat "$work/said" >&2; exit 1; }
    mv "$work/made.pem" "$folder/$name.pem"
    mv "$work/key.pem" "$folder/$name-key.pem"
    echo "made: $folder/$name.pem"
done
