"""Settings for bags of images that are decided from the data; each with a reason."""

from biocnn.config.settings import Settings
from biocnn.data.whole_decisions import Choice, decide_whole
from biocnn.tasks.facts import BySplit, Decision, Facts

MOST = 64  # images of a bag in a step of the training
AT_ONCE = 160  # images of a step, about
BATCH = (2, 16)  # bags


def decide_bags(facts: Facts, settings: Settings | None = None) -> dict[str, Decision]:
    """Decide instances and batch_size, the network of the images, and all else as for the images of all bags.

    Parameters
    ----------
    facts
        Facts about the data set: spatial_dims, sizes, spacing, n, images, bags.
    settings
        Settings of an experiment, whose values override decisions; None: decide all.
    """
    if not facts.sizes:  # of a user's own format
        return {}
    train, model = (settings.train, settings.model) if settings else (None, None)
    network, choose = getattr(model, "network", None), Choice()
    _, middle, most = facts.bags
    instances = choose("instances", train, "train", _instances(most))
    choose("batch_size", train, "train", _batch_size(min(middle, instances)))
    choose("steps_per_epoch", train, "train", Decision(value=None, reason="each bag once"))
    own = Choice()
    images = facts.model_copy(update={"n": BySplit(train=facts.images, val=0, test=0)})
    decide_whole(images, train, network, own, "model.network")
    found = own.found | choose.found
    if settings and network is None:
        value = {"name": "ResNet"} | {key: found[key].value for key in ("stem", "depth", "channels")}
        found["network"] = Decision(value=value, reason=f"for {facts.images:,} training images")
    return found


def _instances(most: int) -> Decision:
    if most <= MOST:
        return Decision(value=most, reason=f"all images of a bag (up to {most:,})")
    return Decision(value=MOST, reason=f"{MOST} random images of a bag in each epoch: bags have up to {most:,}")


def _batch_size(images: int) -> Decision:
    low, high = BATCH
    value = max(low, min(high, AT_ONCE // images))
    return Decision(value=value, reason=f"about {AT_ONCE} images per step, {low} to {high} bags of {images}")
