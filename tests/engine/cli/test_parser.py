import pytest
from my_project.engine.config.parser import Parser
from my_project.engine.errors import InputError
from my_project.engine.trust.allowed import restrict


class Engine:
    def __init__(self, power: int = 1, kind: str | None = None) -> None:
        self.power, self.kind = power, kind


@pytest.fixture
def parser() -> Parser:
    restrict(classes=[Engine])
    parser = Parser()
    parser.add_argument("--speed", type=int | None)
    parser.add_argument("--limits.upper", type=float, default=1.0)
    parser.add_subclass_arguments(Engine, "engine", required=False)
    return parser


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--sped=1"], "no such option: 'sped'; did you mean speed?"),
        (["--speed=fast"], "speed: expected int, got 'fast'; correct it"),
        (["--limits.uper=2"], "did you mean limits.upper?"),
        (["--limits.upper=x"], "limits.upper"),
        (
            ["--engine=Engine", "--engine.init_args.powr=2"],
            "engine: no such option: 'powr'; did you mean power?",
        ),
        (["--zzzzzz=1"], "no such option: 'zzzzzz'; see --help"),
        (["--spee=1"], "did you mean speed?"),
    ],
)
def test_an_error_says_expected_got_and_remedy(parser: Parser, args: list[str], message: str) -> None:
    with pytest.raises(InputError) as error:
        parser.parse_args(args)

    assert message in str(error.value)
    assert "\n" not in str(error.value)
