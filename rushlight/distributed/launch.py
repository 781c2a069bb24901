"""The older name of ``torch.distributed.run``."""

from rushlight.distributed.run import get_args_parser, main, parse_args, run

__all__ = ["get_args_parser", "main", "parse_args", "run"]

launch = run

if __name__ == "__main__":
    main()
