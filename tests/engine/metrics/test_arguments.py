from my_project.engine.metrics import select_metrics


def test_what_the_config_gives_counts_more_than_what_is_known() -> None:
    spec = {"class_path": "Accuracy", "init_args": {"num_classes": 7}}
    metrics = select_metrics({"top": spec}, task="multiclass", num_classes=3)

    assert metrics["top"].metric.num_classes == 7
