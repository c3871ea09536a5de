#!/bin/sh
# Brings a release to the cluster in the one right order: migrate (expand), and only when that has ended well, roll out.
# What contracts the schema is a later release: its migrations shut out the code of the one before.
#
#   deploy/kubernetes/roll-out.sh [KUBECTL OPTION]...     for example --context production
#
# It ends with status 1 where a tenant could not be migrated, or where a pod does not get ready; what served goes on.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

kubectl "$@" --namespace leasehold delete job leasehold-migrate --ignore-not-found --wait
kubectl "$@" apply --kustomize "$here/migrate"

while :; do
    status=$(kubectl "$@" --namespace leasehold get job leasehold-migrate \
        --output 'jsonpath={.status.conditions[?(@.status=="True")].type}')
    case " $status " in
        *" Complete "*) break ;;
        *" Failed "*)
            kubectl "$@" --namespace leasehold logs job/leasehold-migrate --tail 100 >&2
            echo "The migration has failed, so nothing was rolled out." >&2
            exit 1
            ;;
    esac
    sleep "${LEASEHOLD_ROLL_OUT_PAUSE:-2}"
done

kubectl "$@" apply --kustomize "$here/base"
for deployment in leasehold-server leasehold-worker; do
    kubectl "$@" --namespace leasehold rollout status "deployment/$deployment" --timeout 10m
done
