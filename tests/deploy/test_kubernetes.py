"""The manifests: against Kubernetes' own schemas, and against each other and the code."""

from typing import Any

import kubernetes_validate
import pytest

from actors.daemon import OVERDUE_S
from evaa.commands.arguments import parse_arguments
from evaa.commands.health import DEADLINE_S
from settings import Settings
from tests.deploy.files import KUBERNETES, container, documents, environment, manifests, pod

OLDEST = "1.30"
NEWEST = kubernetes_validate.latest_version()
NO_SCHEMA = ("keda.sh/v1alpha1",)
KUSTOMIZATION = documents(KUBERNETES / "kustomization.yaml")[0]
LABELS = pod()["metadata"]["labels"]
KNOWN = [name for name, one in manifests().items() if one["apiVersion"] not in NO_SCHEMA]


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("name", KNOWN)
def test_it_follows_the_schema(name: str, version: str) -> None:
    kubernetes_validate.validate(manifests()[name], version, strict=True)


def test_a_field_that_does_not_exist_is_noticed() -> None:
    broken = manifests()["StatefulSet/evaa"]
    broken["spec"]["template"]["spec"]["terminationGracePeriod"] = 45
    with pytest.raises(kubernetes_validate.ValidationError, match="terminationGracePeriod"):
        kubernetes_validate.validate(broken, NEWEST, strict=True)


# --- what belongs together --------------------------------------------------------------------------------------


def test_the_kustomization_names_every_file_but_those_that_are_applied_by_hand() -> None:
    by_hand = {"secret.example.yaml", "autoscaling-keda.yaml", "autoscaling-hpa.yaml"}
    files = {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(KUSTOMIZATION["resources"]) == files - by_hand
    assert by_hand <= files
    (generated,) = KUSTOMIZATION["configMapGenerator"]
    assert all((KUBERNETES / name).is_file() for name in generated["envs"])
    assert KUSTOMIZATION["replicas"][0]["name"] == manifests()["StatefulSet/evaa"]["metadata"]["name"]
    assert KUSTOMIZATION["images"][0]["name"] == container()["image"]


def test_what_selects_the_pods_selects_these() -> None:
    all_of_it = manifests()
    spec = all_of_it["StatefulSet/evaa"]["spec"]
    assert spec["selector"]["matchLabels"] == LABELS
    assert pod()["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"] == LABELS
    assert all_of_it["PodDisruptionBudget/evaa"]["spec"]["selector"]["matchLabels"] == LABELS
    for service in ("Service/evaa", f"Service/{spec['serviceName']}"):
        assert all_of_it[service]["spec"]["selector"] == LABELS


def test_requests_find_their_way_to_the_port() -> None:
    (port,) = container()["ports"]
    assert port["containerPort"] == int(environment("kubernetes/settings.env")["EVAA_PORT"])
    for name in ("Service/evaa", "Service/evaa-pods"):
        (served,) = manifests()[name]["spec"]["ports"]
        assert served["targetPort"] == port["name"]
    (rule,) = manifests()["Ingress/evaa"]["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    assert path["backend"]["service"] == {"name": "evaa", "port": {"name": served["name"]}}


def test_settings_come_from_what_is_there() -> None:
    (generated,) = KUSTOMIZATION["configMapGenerator"]
    secret = manifests()["Secret/evaa"]
    assert container()["envFrom"] == [
        {"configMapRef": {"name": generated["name"]}},
        {"secretRef": {"name": secret["metadata"]["name"]}},
    ]
    assert not set(secret["stringData"]) & set(environment("kubernetes/settings.env"))


def test_the_example_of_the_secret_holds_none() -> None:
    for value in manifests()["Secret/evaa"]["stringData"].values():
        assert value == "REPLACE" or "USER:PASSWORD@" in value


def test_a_service_does_not_overwrite_settings() -> None:
    """A Service `evaa` would set EVAA_PORT, as Docker's links once did."""
    assert pod()["spec"]["enableServiceLinks"] is False


def test_the_spill_file_is_on_the_pods_own_volume() -> None:
    (claim,) = manifests()["StatefulSet/evaa"]["spec"]["volumeClaimTemplates"]
    (mount,) = (one for one in container()["volumeMounts"] if one["name"] == claim["metadata"]["name"])
    assert environment("kubernetes/settings.env")["EVAA_SPILL_PATH"].startswith(f"{mount['mountPath']}/")
    policy = manifests()["StatefulSet/evaa"]["spec"]["persistentVolumeClaimRetentionPolicy"]
    assert set(policy.values()) == {"Retain"}


# --- times and rights -------------------------------------------------------------------------------------------


def test_a_pod_has_the_time_to_drain() -> None:
    program, pre_stop_s = container()["lifecycle"]["preStop"]["exec"]["command"]
    assert program == "sleep"
    assert pod()["spec"]["terminationGracePeriodSeconds"] > float(pre_stop_s) + OVERDUE_S + 2


def test_readiness_is_the_health_command() -> None:
    probe = container()["readinessProbe"]
    python, script, *arguments = probe["exec"]["command"]
    assert (python, script) == ("python", "run.py")
    assert parse_arguments(arguments, "").command == "health"
    assert probe["timeoutSeconds"] > DEADLINE_S + 1, "it needs time to start, too"


def test_a_full_or_draining_pod_is_not_killed_for_it() -> None:
    for name in ("livenessProbe", "startupProbe"):
        assert set(container()[name]) & {"exec", "httpGet"} == set()
        assert container()[name]["tcpSocket"]["port"] == container()["ports"][0]["name"]


def test_a_pod_may_do_nothing_but_its_work() -> None:
    own, around = container()["securityContext"], pod()["spec"]["securityContext"]
    assert own == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert around["runAsNonRoot"] is True
    assert around["runAsUser"] > 0
    assert pod()["spec"]["automountServiceAccountToken"] is False


# --- autoscaling ------------------------------------------------------------------------------------------------


def behaviours() -> list[dict[str, Any]]:
    keda = manifests()["ScaledObject/evaa"]["spec"]["advanced"]["horizontalPodAutoscalerConfig"]
    return [keda["behavior"], manifests()["HorizontalPodAutoscaler/evaa"]["spec"]["behavior"]]


def test_both_ways_of_scaling_steer_the_stateful_set_alike() -> None:
    for name in ("ScaledObject/evaa", "HorizontalPodAutoscaler/evaa"):
        target = manifests()[name]["spec"]["scaleTargetRef"]
        assert target == {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "evaa"}
        assert manifests()[name]["metadata"]["namespace"] == KUSTOMIZATION["namespace"]
    one, other = behaviours()
    assert one == other
    assert one["scaleDown"]["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 600}]
    assert "replicas" not in manifests()["StatefulSet/evaa"]["spec"], "an apply would set the count back"


def test_keda_counts_in_the_right_place() -> None:
    (trigger,) = manifests()["ScaledObject/evaa"]["spec"]["triggers"]
    assert trigger["metadata"]["dbName"] == environment("kubernetes/settings.env")["EVAA_MONGODB_DATABASE"]
    assert trigger["metadata"]["dbName"] == Settings().mongodb_database
    authentication = manifests()[f"TriggerAuthentication/{trigger['authenticationRef']['name']}"]
    (reference,) = authentication["spec"]["secretTargetRef"]
    secret = manifests()["Secret/evaa"]
    assert (reference["name"], reference["key"]) == (secret["metadata"]["name"], "MONGODB_URI")
    assert reference["key"] in secret["stringData"]


def test_scaling_leaves_room_below_what_a_pod_takes() -> None:
    (trigger,) = manifests()["ScaledObject/evaa"]["spec"]["triggers"]
    most = int(environment("kubernetes/settings.env")["EVAA_MAX_SESSIONS"])
    assert int(trigger["metadata"]["queryValue"]) * 2 <= most, "a pod that is lost leaves its sessions to the others"
