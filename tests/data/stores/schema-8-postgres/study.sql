SELECT pg_catalog.set_config('search_path', '', false);
CREATE SCHEMA fabricbo_kept;
CREATE TABLE fabricbo_kept.assessment (
    preferences integer NOT NULL,
    data json NOT NULL
);
CREATE TABLE fabricbo_kept.drawn_with (
    trial integer NOT NULL,
    environment json NOT NULL
);
CREATE TABLE fabricbo_kept.earlier (
    "position" integer NOT NULL,
    action json NOT NULL,
    scores json NOT NULL
);
CREATE SEQUENCE fabricbo_kept.earlier_position_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE fabricbo_kept.earlier_position_seq OWNED BY fabricbo_kept.earlier."position";
CREATE TABLE fabricbo_kept.exclusions (
    id integer NOT NULL,
    rater integer NOT NULL,
    excluded boolean NOT NULL,
    reason character varying NOT NULL,
    created timestamp with time zone NOT NULL
);
CREATE SEQUENCE fabricbo_kept.exclusions_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE fabricbo_kept.exclusions_id_seq OWNED BY fabricbo_kept.exclusions.id;
CREATE TABLE fabricbo_kept.heldout (
    trial integer NOT NULL,
    seeds json NOT NULL,
    "values" json NOT NULL,
    reporters json NOT NULL,
    images json NOT NULL
);
CREATE TABLE fabricbo_kept.preferences (
    id integer NOT NULL,
    better integer NOT NULL,
    worse integer NOT NULL,
    tie boolean NOT NULL,
    created timestamp with time zone NOT NULL
);
CREATE SEQUENCE fabricbo_kept.preferences_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE fabricbo_kept.preferences_id_seq OWNED BY fabricbo_kept.preferences.id;
CREATE TABLE fabricbo_kept.questions (
    id integer NOT NULL,
    kind character varying NOT NULL,
    options json NOT NULL,
    reason character varying NOT NULL,
    repeat_of integer,
    only_for integer,
    expected integer,
    withdrawn boolean NOT NULL,
    answered integer NOT NULL,
    created timestamp with time zone NOT NULL
);
CREATE SEQUENCE fabricbo_kept.questions_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE fabricbo_kept.questions_id_seq OWNED BY fabricbo_kept.questions.id;
CREATE TABLE fabricbo_kept.raters (
    id integer NOT NULL,
    name character varying NOT NULL,
    role character varying NOT NULL,
    token_hash character varying NOT NULL,
    created timestamp with time zone NOT NULL
);
CREATE SEQUENCE fabricbo_kept.raters_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE fabricbo_kept.raters_id_seq OWNED BY fabricbo_kept.raters.id;
CREATE TABLE fabricbo_kept.rating_state (
    id integer NOT NULL,
    state character varying NOT NULL,
    created timestamp with time zone NOT NULL
);
CREATE SEQUENCE fabricbo_kept.rating_state_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE fabricbo_kept.rating_state_id_seq OWNED BY fabricbo_kept.rating_state.id;
CREATE TABLE fabricbo_kept."references" (
    id character varying NOT NULL,
    "position" integer NOT NULL,
    name character varying NOT NULL,
    hand_role character varying NOT NULL
);
CREATE TABLE fabricbo_kept.rounds (
    index integer NOT NULL,
    seeds json NOT NULL,
    pool json NOT NULL
);
CREATE SEQUENCE fabricbo_kept.rounds_index_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE fabricbo_kept.rounds_index_seq OWNED BY fabricbo_kept.rounds.index;
CREATE TABLE fabricbo_kept.study (
    schema_version integer NOT NULL,
    settings json NOT NULL,
    objective character varying NOT NULL,
    direction character varying NOT NULL,
    further json,
    created timestamp with time zone NOT NULL,
    forked json
);
CREATE TABLE fabricbo_kept.tasks (
    id character varying NOT NULL,
    question integer NOT NULL,
    rater integer NOT NULL,
    "order" json NOT NULL,
    answer character varying,
    created timestamp with time zone NOT NULL
);
CREATE TABLE fabricbo_kept.trial_events (
    id integer NOT NULL,
    trial integer NOT NULL,
    attempt integer NOT NULL,
    status character varying NOT NULL,
    worker character varying,
    reason character varying,
    key character varying NOT NULL,
    created timestamp with time zone NOT NULL
);
CREATE SEQUENCE fabricbo_kept.trial_events_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE fabricbo_kept.trial_events_id_seq OWNED BY fabricbo_kept.trial_events.id;
CREATE TABLE fabricbo_kept.trials (
    index integer NOT NULL,
    round integer NOT NULL,
    action json NOT NULL,
    source character varying NOT NULL,
    status character varying NOT NULL,
    attempt integer NOT NULL,
    "values" json,
    further json,
    images json,
    reason character varying,
    created timestamp with time zone NOT NULL,
    seconds double precision
);
CREATE SEQUENCE fabricbo_kept.trials_index_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE fabricbo_kept.trials_index_seq OWNED BY fabricbo_kept.trials.index;
CREATE TABLE fabricbo_kept.votes (
    id integer NOT NULL,
    task character varying NOT NULL,
    key character varying NOT NULL,
    answer character varying NOT NULL,
    seconds double precision,
    created timestamp with time zone NOT NULL
);
CREATE SEQUENCE fabricbo_kept.votes_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE fabricbo_kept.votes_id_seq OWNED BY fabricbo_kept.votes.id;
CREATE TABLE fabricbo_kept.wishes (
    id integer NOT NULL,
    image character varying NOT NULL,
    role character varying NOT NULL,
    created timestamp with time zone NOT NULL
);
CREATE SEQUENCE fabricbo_kept.wishes_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE fabricbo_kept.wishes_id_seq OWNED BY fabricbo_kept.wishes.id;
ALTER TABLE ONLY fabricbo_kept.earlier ALTER COLUMN "position" SET DEFAULT nextval('fabricbo_kept.earlier_position_seq'::regclass);
ALTER TABLE ONLY fabricbo_kept.exclusions ALTER COLUMN id SET DEFAULT nextval('fabricbo_kept.exclusions_id_seq'::regclass);
ALTER TABLE ONLY fabricbo_kept.preferences ALTER COLUMN id SET DEFAULT nextval('fabricbo_kept.preferences_id_seq'::regclass);
ALTER TABLE ONLY fabricbo_kept.questions ALTER COLUMN id SET DEFAULT nextval('fabricbo_kept.questions_id_seq'::regclass);
ALTER TABLE ONLY fabricbo_kept.raters ALTER COLUMN id SET DEFAULT nextval('fabricbo_kept.raters_id_seq'::regclass);
ALTER TABLE ONLY fabricbo_kept.rating_state ALTER COLUMN id SET DEFAULT nextval('fabricbo_kept.rating_state_id_seq'::regclass);
ALTER TABLE ONLY fabricbo_kept.rounds ALTER COLUMN index SET DEFAULT nextval('fabricbo_kept.rounds_index_seq'::regclass);
ALTER TABLE ONLY fabricbo_kept.trial_events ALTER COLUMN id SET DEFAULT nextval('fabricbo_kept.trial_events_id_seq'::regclass);
ALTER TABLE ONLY fabricbo_kept.trials ALTER COLUMN index SET DEFAULT nextval('fabricbo_kept.trials_index_seq'::regclass);
ALTER TABLE ONLY fabricbo_kept.votes ALTER COLUMN id SET DEFAULT nextval('fabricbo_kept.votes_id_seq'::regclass);
ALTER TABLE ONLY fabricbo_kept.wishes ALTER COLUMN id SET DEFAULT nextval('fabricbo_kept.wishes_id_seq'::regclass);
INSERT INTO fabricbo_kept.assessment VALUES (10, '{"estimates": {"0": [{"mean": 0.5, "standard_error": 0.25}, {"mean": 9.5, "standard_error": 0.5}], "1": [{"mean": 1.5, "standard_error": 0.25}, {"mean": 9.5, "standard_error": 0.5}], "3": [{"mean": 3.5, "standard_error": 0.25}, {"mean": 9.5, "standard_error": 0.5}], "4": [{"mean": 4.5, "standard_error": 0.25}, {"mean": 9.5, "standard_error": 0.5}], "6": [{"mean": 6.5, "standard_error": 0.25}, {"mean": 9.5, "standard_error": 0.5}]}, "utilities": {"0": {"mean": 0.0, "standard_error": 0.5}, "1": {"mean": 1.0, "standard_error": 0.5}, "3": {"mean": 3.0, "standard_error": 0.5}, "4": {"mean": 4.0, "standard_error": 0.5}, "5": {"mean": 5.0, "standard_error": 0.5}, "6": {"mean": 6.0, "standard_error": 0.5}}, "advice": {"probability": 0.75, "tolerance": 2.0, "expected_gain": 0.125}, "effects": [], "slices": []}');
INSERT INTO fabricbo_kept.drawn_with VALUES (0, '{"weights": "abc", "packages": {"torch": "2.13"}}');
INSERT INTO fabricbo_kept.drawn_with VALUES (1, '{"weights": "abc", "packages": {"torch": "2.13"}}');
INSERT INTO fabricbo_kept.drawn_with VALUES (3, '{"weights": "abc", "packages": {"torch": "2.13"}}');
INSERT INTO fabricbo_kept.drawn_with VALUES (4, '{"weights": "abc", "packages": {"torch": "2.13"}}');
INSERT INTO fabricbo_kept.earlier VALUES (0, '{"params": {"feedback_start": 0.0, "feedback_end": 0.8, "min_weight": 0.0, "max_weight": 0.8, "neg_scale": 0.5, "pos_bottleneck_scale": 1.0, "neg_bottleneck_scale": 1.0, "guidance_scale": 7.5, "denoising_steps": 20, "prompt_dropout": 0.0}, "liked": ["a69917511f1f7cb480ae746ebed5e881", "cf749c29595a1680c2f102700876ccf9", "06ac8129f49db84c9f5516267de45d80"], "disliked": []}', '[[104.11, 104.01], [120.25, 120.25]]');
INSERT INTO fabricbo_kept.earlier VALUES (1, '{"params": {"feedback_start": 0.04969979049076012, "feedback_end": 0.15748798660107355, "min_weight": 0.0, "max_weight": 0.5656486328919195, "neg_scale": 0.34352701751053016, "pos_bottleneck_scale": 1.0, "neg_bottleneck_scale": 1.0, "guidance_scale": 7.5, "denoising_steps": 20, "prompt_dropout": 0.0}, "liked": ["06ac8129f49db84c9f5516267de45d80"], "disliked": ["a69917511f1f7cb480ae746ebed5e881"]}', '[[74.11, 74.01], [40.25, 40.25]]');
INSERT INTO fabricbo_kept.exclusions VALUES (1, 3, true, 'clicked at random', '2026-11-27 13:48:37.477296+00');
INSERT INTO fabricbo_kept.heldout VALUES (0, '[2098561377, 2451945086, 535305912, 488942852]', '{"red": [102.97, 103.26, 103.84, 102.04, 102.97, 103.26, 103.84, 102.04], "blue": [120.25, 120.25, 120.25, 120.25, 120.25, 120.25, 120.25, 120.25]}', '[]', '["e720313c306b31e98aa62cf74c06ed9e", "61ea1113b3e5fb29699cdb4054178603", "fcafdfecb6d9fd30ff1777f6d2a15e2e", "fccc0fcc7abd9e85f7a67487ac8aef7a", "e720313c306b31e98aa62cf74c06ed9e", "61ea1113b3e5fb29699cdb4054178603", "fcafdfecb6d9fd30ff1777f6d2a15e2e", "fccc0fcc7abd9e85f7a67487ac8aef7a"]');
INSERT INTO fabricbo_kept.heldout VALUES (6, '[2098561377, 2451945086, 535305912, 488942852]', '{"red": [116.97, 117.26, 117.84, 116.04, 116.97, 117.26, 117.84, 116.04], "blue": [40.25, 40.25, 40.25, 40.25, 40.25, 40.25, 40.25, 40.25]}', '[]', '["2542dac3349047bab817530e0b50f5dd", "cda06e1d6d4d8c9a0184973eef5da458", "25154353b691cf996c3b8a3ba5c86c76", "8b61a9cfb653d6102482e1181156f4ae", "2542dac3349047bab817530e0b50f5dd", "cda06e1d6d4d8c9a0184973eef5da458", "25154353b691cf996c3b8a3ba5c86c76", "8b61a9cfb653d6102482e1181156f4ae"]');
INSERT INTO fabricbo_kept.preferences VALUES (1, 1, 0, false, '2026-11-27 13:48:37.274237+00');
INSERT INTO fabricbo_kept.preferences VALUES (2, 1, 5, false, '2026-11-27 13:48:37.27425+00');
INSERT INTO fabricbo_kept.preferences VALUES (3, 3, 4, true, '2026-11-27 13:48:37.282188+00');
INSERT INTO fabricbo_kept.questions VALUES (4, 'pairwise', '[["af85db8261723be031a1e0d1ea4f7e2d", 4], ["99f56734f727ede8765570b848e8d964", 5]]', 'x', NULL, NULL, NULL, false, 0, '2026-11-27 13:48:37.353816+00');
INSERT INTO fabricbo_kept.questions VALUES (5, 'pairwise', '[["99f56734f727ede8765570b848e8d964", 5], ["dd9cc682fd46091295a04627ed5f0480", 6]]', 'x', NULL, NULL, NULL, false, 0, '2026-11-27 13:48:37.353817+00');
INSERT INTO fabricbo_kept.questions VALUES (1, 'pairwise', '[["af85db8261723be031a1e0d1ea4f7e2d", 0], ["67fd838a9f170b847891a09137801f25", 1]]', 'x', NULL, NULL, NULL, false, 1, '2026-11-27 13:48:37.353805+00');
INSERT INTO fabricbo_kept.questions VALUES (2, 'pairwise', '[["67fd838a9f170b847891a09137801f25", 1], ["079de27f950b35ce3c07231e6966c17f", 3]]', 'x', NULL, NULL, NULL, false, 1, '2026-11-27 13:48:37.353812+00');
INSERT INTO fabricbo_kept.questions VALUES (3, 'pairwise', '[["079de27f950b35ce3c07231e6966c17f", 3], ["af85db8261723be031a1e0d1ea4f7e2d", 4]]', 'x', NULL, NULL, NULL, false, 1, '2026-11-27 13:48:37.353814+00');
INSERT INTO fabricbo_kept.raters VALUES (1, 'Olga', 'owner', '9ce077b3cd8a424d3beb572695e1ce4bf191252aac05eefcd284a87c11822eae', '2026-11-27 13:48:37.356692+00');
INSERT INTO fabricbo_kept.raters VALUES (2, 'Ada', 'rater', '050086933f2a1ced0c547af284fd474ced8509368a0a2c7cfac1ba8d7416ac72', '2026-11-27 13:48:37.358549+00');
INSERT INTO fabricbo_kept.raters VALUES (3, 'Bob', 'rater', '296bc094b17e2b0a4e8e25a4ad053c85c3843f5cfecf59cad96929da049bf324', '2026-11-27 13:48:37.365662+00');
INSERT INTO fabricbo_kept.rating_state VALUES (1, 'paused', '2026-11-27 13:48:37.489711+00');
INSERT INTO fabricbo_kept."references" VALUES ('a69917511f1f7cb480ae746ebed5e881', 0, 'red', 'liked');
INSERT INTO fabricbo_kept."references" VALUES ('cf749c29595a1680c2f102700876ccf9', 1, 'green', 'liked');
INSERT INTO fabricbo_kept."references" VALUES ('06ac8129f49db84c9f5516267de45d80', 2, 'blue', 'liked');
INSERT INTO fabricbo_kept."references" VALUES ('079de27f950b35ce3c07231e6966c17f', 3, 'round 1 best 1', 'liked');
INSERT INTO fabricbo_kept."references" VALUES ('dd9cc682fd46091295a04627ed5f0480', 4, 'round 2 worst 1', 'disliked');
INSERT INTO fabricbo_kept.rounds VALUES (1, '[2681718739, 2800181961]', '["a69917511f1f7cb480ae746ebed5e881", "cf749c29595a1680c2f102700876ccf9", "06ac8129f49db84c9f5516267de45d80"]');
INSERT INTO fabricbo_kept.rounds VALUES (2, '[2681718739, 2800181961]', '["a69917511f1f7cb480ae746ebed5e881", "cf749c29595a1680c2f102700876ccf9", "06ac8129f49db84c9f5516267de45d80", "079de27f950b35ce3c07231e6966c17f"]');
INSERT INTO fabricbo_kept.rounds VALUES (3, '[2681718739, 2800181961]', '["a69917511f1f7cb480ae746ebed5e881", "cf749c29595a1680c2f102700876ccf9", "06ac8129f49db84c9f5516267de45d80", "079de27f950b35ce3c07231e6966c17f", "dd9cc682fd46091295a04627ed5f0480"]');
INSERT INTO fabricbo_kept.study VALUES (8, '{"name": "kept", "prompt": ["a cat", "a dog"], "over_prompts": "mean", "negative_prompt": "", "rounds": 3, "trials": 3, "images": 2, "heldout": 4, "seed": 5, "proposer": "fabricbo", "storage": "studies", "database": "postgresql+psycopg://fabricbo@127.0.0.1:41913/postgres", "images_at": null, "checkpoint": {"name": "demo", "revision": null, "config": null, "lora": null, "clip_skip": 0, "cache_gb": null, "width": null, "height": null, "reference_noise": "fixed", "reference_fit": "stretch"}, "objective": [], "report_with": [], "heldout_prompts": [], "constraints": ["blue <= 130"], "rating": {"kind": "pairwise", "options": 4, "questions": 4, "judgements": 1, "repeats": 0.0, "ahead": 2, "blur": false, "instructions": "", "consent": "", "gold": []}, "spend": null, "start_from": null, "space": {"parameters": {}, "roles": null, "max_liked": 4, "max_disliked": 4}, "pool": {"folder": null, "grow_liked": 1, "grow_disliked": 0}, "executor": {"kind": "inline", "ahead": null, "workers": null, "gpus": null, "cpus": 1.0, "address": null, "patience": 3600.0}, "loggers": []}', 'red', 'maximize', '[{"name": "blue", "direction": "maximize", "at_least": null, "at_most": 130.0, "reference_point": null}]', '2026-11-27 13:48:36.356862+00', NULL);
INSERT INTO fabricbo_kept.tasks VALUES ('iS6jQqUOR-teNNgLdo3vPw', 1, 2, '[0, 1]', 'left', '2026-11-27 13:48:37.377825+00');
INSERT INTO fabricbo_kept.tasks VALUES ('dOCXDIoenYjvRqqOaxe_TA', 2, 3, '[0, 1]', 'left', '2026-11-27 13:48:37.402909+00');
INSERT INTO fabricbo_kept.tasks VALUES ('xTzAfiyxuaVSbsS5ma5u_g', 3, 2, '[1, 0]', 'skip', '2026-11-27 13:48:37.439556+00');
INSERT INTO fabricbo_kept.tasks VALUES ('04VaddoTkX1IBNqf11XHuw', 3, 3, '[1, 0]', 'tie', '2026-11-27 13:48:37.46224+00');
INSERT INTO fabricbo_kept.trial_events VALUES (1, 0, 0, 'proposed', NULL, NULL, '401a7bff208f416398059e194d5ffd4c', '2026-11-27 13:48:36.899748+00');
INSERT INTO fabricbo_kept.trial_events VALUES (2, 0, 0, 'done', NULL, NULL, 'b063115e6a764d8c8488a80ab3b673c0', '2026-11-27 13:48:37.072302+00');
INSERT INTO fabricbo_kept.trial_events VALUES (3, 1, 0, 'proposed', NULL, NULL, '4b5ae33476214fbca870a07f39e5bea6', '2026-11-27 13:48:37.086047+00');
INSERT INTO fabricbo_kept.trial_events VALUES (4, 1, 0, 'done', NULL, NULL, '5ee473329e494dc497ac1b92a5ca1fb8', '2026-11-27 13:48:37.12586+00');
INSERT INTO fabricbo_kept.trial_events VALUES (5, 2, 0, 'proposed', NULL, NULL, 'd5cef12d291447278a2b9623b0c22618', '2026-11-27 13:48:37.133248+00');
INSERT INTO fabricbo_kept.trial_events VALUES (6, 2, 0, 'failed', NULL, 'RuntimeError: not today', '1a253ee6ddfb451d840f14c389277c6b', '2026-11-27 13:48:37.136344+00');
INSERT INTO fabricbo_kept.trial_events VALUES (7, 3, 0, 'proposed', NULL, NULL, '940db1c5691d4a748130da4050f84f12', '2026-11-27 13:48:37.148409+00');
INSERT INTO fabricbo_kept.trial_events VALUES (8, 3, 0, 'done', NULL, NULL, '13e556b514ae4ceabd9d0e03113f8748', '2026-11-27 13:48:37.184385+00');
INSERT INTO fabricbo_kept.trial_events VALUES (9, 4, 0, 'proposed', NULL, NULL, '41a28c9686dc4ae8b80fb0f5c53bab7f', '2026-11-27 13:48:37.203636+00');
INSERT INTO fabricbo_kept.trial_events VALUES (10, 4, 0, 'done', NULL, NULL, '50d56b5bf46f4593a49526335608546d', '2026-11-27 13:48:37.21754+00');
INSERT INTO fabricbo_kept.trial_events VALUES (11, 5, 0, 'proposed', NULL, NULL, '692ff91b5c5048cc92740e2a2ce27e08', '2026-11-27 13:48:37.242257+00');
INSERT INTO fabricbo_kept.trial_events VALUES (12, 5, 0, 'awaiting-rating', NULL, NULL, '8b77f5002dd44f9d912c4c14ea80dc9c', '2026-11-27 13:48:37.261579+00');
INSERT INTO fabricbo_kept.trial_events VALUES (13, 6, 0, 'proposed', NULL, NULL, '1ecbb5ab9a824702bd4876c586c95fbc', '2026-11-27 13:48:37.293666+00');
INSERT INTO fabricbo_kept.trial_events VALUES (14, 6, 0, 'done', NULL, NULL, '1ee3a8723569426bbd6f2d6d0eb8e5fc', '2026-11-27 13:48:37.340641+00');
INSERT INTO fabricbo_kept.trial_events VALUES (15, 7, 0, 'proposed', NULL, NULL, '5ebd86ccab58474ba2df0112b8afb05a', '2026-11-27 13:48:37.679066+00');
INSERT INTO fabricbo_kept.trials VALUES (0, 1, '{"params": {"feedback_start": 0.0, "feedback_end": 0.8, "min_weight": 0.0, "max_weight": 0.8, "neg_scale": 0.5, "pos_bottleneck_scale": 1.0, "neg_bottleneck_scale": 1.0, "guidance_scale": 7.5, "denoising_steps": 20, "prompt_dropout": 0.0}, "liked": ["a69917511f1f7cb480ae746ebed5e881", "cf749c29595a1680c2f102700876ccf9", "06ac8129f49db84c9f5516267de45d80"], "disliked": []}', 'hand', 'done', 0, '[104.11, 104.01, 104.11, 104.01]', '[[120.25, 120.25, 120.25, 120.25]]', '["af85db8261723be031a1e0d1ea4f7e2d", "e7a46874106b2f8881c6478707d701c1", "af85db8261723be031a1e0d1ea4f7e2d", "e7a46874106b2f8881c6478707d701c1"]', NULL, '2026-11-27 13:48:36.858567+00', 1.5);
INSERT INTO fabricbo_kept.trials VALUES (1, 1, '{"params": {"feedback_start": 0.04969979049076012, "feedback_end": 0.15748798660107355, "min_weight": 0.0, "max_weight": 0.5656486328919195, "neg_scale": 0.34352701751053016, "pos_bottleneck_scale": 1.0, "neg_bottleneck_scale": 1.0, "guidance_scale": 7.5, "denoising_steps": 20, "prompt_dropout": 0.0}, "liked": ["06ac8129f49db84c9f5516267de45d80"], "disliked": ["a69917511f1f7cb480ae746ebed5e881"]}', 'random', 'done', 0, '[74.11, 74.01, 74.11, 74.01]', '[[40.25, 40.25, 40.25, 40.25]]', '["67fd838a9f170b847891a09137801f25", "3ab16d040eb37d5620e73ee3287524d6", "67fd838a9f170b847891a09137801f25", "3ab16d040eb37d5620e73ee3287524d6"]', NULL, '2026-11-27 13:48:37.084462+00', 1.5);
INSERT INTO fabricbo_kept.trials VALUES (2, 1, '{"params": {"feedback_start": 0.1336941816065954, "feedback_end": 0.2032428862972464, "min_weight": 0.0, "max_weight": 1.339717802105982, "neg_scale": 0.6268204243460734, "pos_bottleneck_scale": 1.0, "neg_bottleneck_scale": 1.0, "guidance_scale": 7.5, "denoising_steps": 20, "prompt_dropout": 0.0}, "liked": ["cf749c29595a1680c2f102700876ccf9"], "disliked": ["a69917511f1f7cb480ae746ebed5e881", "06ac8129f49db84c9f5516267de45d80"]}', 'random', 'failed', 0, NULL, NULL, NULL, 'RuntimeError: not today', '2026-11-27 13:48:37.131627+00', NULL);
INSERT INTO fabricbo_kept.trials VALUES (3, 1, '{"params": {"feedback_start": 0.13474111686824686, "feedback_end": 0.6768478933315558, "min_weight": 0.0, "max_weight": 1.1069021971126727, "neg_scale": 0.0585426535370972, "pos_bottleneck_scale": 1.0, "neg_bottleneck_scale": 1.0, "guidance_scale": 7.5, "denoising_steps": 20, "prompt_dropout": 0.0}, "liked": ["06ac8129f49db84c9f5516267de45d80"], "disliked": []}', 'random', 'done', 0, '[143.11, 143.01, 143.11, 143.01]', '[[40.25, 40.25, 40.25, 40.25]]', '["079de27f950b35ce3c07231e6966c17f", "9d846b7af1fbb819666fe4c94f1684fb", "079de27f950b35ce3c07231e6966c17f", "9d846b7af1fbb819666fe4c94f1684fb"]', NULL, '2026-11-27 13:48:37.147035+00', 1.5);
INSERT INTO fabricbo_kept.trials VALUES (4, 2, '{"params": {"feedback_start": 0.6914653760013362, "feedback_end": 0.7364292214970759, "min_weight": 0.0, "max_weight": 0.7981504410060284, "neg_scale": 0.6079347025626536, "pos_bottleneck_scale": 1.0, "neg_bottleneck_scale": 1.0, "guidance_scale": 7.5, "denoising_steps": 20, "prompt_dropout": 0.0}, "liked": ["a69917511f1f7cb480ae746ebed5e881", "06ac8129f49db84c9f5516267de45d80", "079de27f950b35ce3c07231e6966c17f"], "disliked": ["cf749c29595a1680c2f102700876ccf9"]}', 'random', 'done', 0, '[104.11, 104.01, 104.11, 104.01]', '[[120.25, 120.25, 120.25, 120.25]]', '["af85db8261723be031a1e0d1ea4f7e2d", "e7a46874106b2f8881c6478707d701c1", "af85db8261723be031a1e0d1ea4f7e2d", "e7a46874106b2f8881c6478707d701c1"]', NULL, '2026-11-27 13:48:37.202298+00', 1.5);
INSERT INTO fabricbo_kept.trials VALUES (5, 2, '{"params": {"feedback_start": 0.24237438733720562, "feedback_end": 0.5154109916728576, "min_weight": 0.0, "max_weight": 0.7230947787251316, "neg_scale": 0.032285343875007144, "pos_bottleneck_scale": 1.0, "neg_bottleneck_scale": 1.0, "guidance_scale": 7.5, "denoising_steps": 20, "prompt_dropout": 0.0}, "liked": ["06ac8129f49db84c9f5516267de45d80"], "disliked": ["a69917511f1f7cb480ae746ebed5e881"]}', 'random', 'awaiting-rating', 0, 'null', 'null', '["99f56734f727ede8765570b848e8d964", "11ea895cc1bfdd2f9ceb51d0f5061ede", "99f56734f727ede8765570b848e8d964", "11ea895cc1bfdd2f9ceb51d0f5061ede"]', NULL, '2026-11-27 13:48:37.238086+00', NULL);
INSERT INTO fabricbo_kept.trials VALUES (6, 2, '{"params": {"feedback_start": 0.16638731318454836, "feedback_end": 0.6612430330823948, "min_weight": 0.0, "max_weight": 0.9098971193237633, "neg_scale": 0.9845303407463849, "pos_bottleneck_scale": 1.0, "neg_bottleneck_scale": 1.0, "guidance_scale": 7.5, "denoising_steps": 20, "prompt_dropout": 0.0}, "liked": ["079de27f950b35ce3c07231e6966c17f"], "disliked": ["a69917511f1f7cb480ae746ebed5e881", "cf749c29595a1680c2f102700876ccf9", "06ac8129f49db84c9f5516267de45d80"]}', 'random', 'done', 0, '[118.11, 118.01, 118.11, 118.01]', '[[40.25, 40.25, 40.25, 40.25]]', '["dd9cc682fd46091295a04627ed5f0480", "65ea67a07d32651a6757042b949ad82e", "dd9cc682fd46091295a04627ed5f0480", "65ea67a07d32651a6757042b949ad82e"]', NULL, '2026-11-27 13:48:37.286937+00', NULL);
INSERT INTO fabricbo_kept.trials VALUES (7, 3, '{"params": {"feedback_start": 0.5993259742195518, "feedback_end": 0.7783798527620076, "min_weight": 0.0, "max_weight": 0.7221577828773829, "neg_scale": 0.415515771378418, "pos_bottleneck_scale": 1.0, "neg_bottleneck_scale": 1.0, "guidance_scale": 7.5, "denoising_steps": 20, "prompt_dropout": 0.0}, "liked": ["cf749c29595a1680c2f102700876ccf9", "dd9cc682fd46091295a04627ed5f0480"], "disliked": ["a69917511f1f7cb480ae746ebed5e881", "079de27f950b35ce3c07231e6966c17f"]}', 'random', 'proposed', 0, NULL, NULL, NULL, NULL, '2026-11-27 13:48:37.673124+00', NULL);
INSERT INTO fabricbo_kept.votes VALUES (1, 'iS6jQqUOR-teNNgLdo3vPw', 'key 0', 'left', 2.5, '2026-11-27 13:48:37.390625+00');
INSERT INTO fabricbo_kept.votes VALUES (2, 'dOCXDIoenYjvRqqOaxe_TA', 'key 1', 'right', 2.5, '2026-11-27 13:48:37.405963+00');
INSERT INTO fabricbo_kept.votes VALUES (3, 'dOCXDIoenYjvRqqOaxe_TA', 'key of an undo', 'undo', NULL, '2026-11-27 13:48:37.41113+00');
INSERT INTO fabricbo_kept.votes VALUES (4, 'dOCXDIoenYjvRqqOaxe_TA', 'key of another answer', 'left', NULL, '2026-11-27 13:48:37.423025+00');
INSERT INTO fabricbo_kept.votes VALUES (5, 'xTzAfiyxuaVSbsS5ma5u_g', 'key 2', 'skip', 2.5, '2026-11-27 13:48:37.451246+00');
INSERT INTO fabricbo_kept.votes VALUES (6, '04VaddoTkX1IBNqf11XHuw', 'key 3', 'tie', 2.5, '2026-11-27 13:48:37.468639+00');
INSERT INTO fabricbo_kept.wishes VALUES (1, 'dd9cc682fd46091295a04627ed5f0480', 'disliked', '2026-11-27 13:48:37.485229+00');
SELECT pg_catalog.setval('fabricbo_kept.earlier_position_seq', 1, false);
SELECT pg_catalog.setval('fabricbo_kept.exclusions_id_seq', 1, true);
SELECT pg_catalog.setval('fabricbo_kept.preferences_id_seq', 3, true);
SELECT pg_catalog.setval('fabricbo_kept.questions_id_seq', 5, true);
SELECT pg_catalog.setval('fabricbo_kept.raters_id_seq', 3, true);
SELECT pg_catalog.setval('fabricbo_kept.rating_state_id_seq', 1, true);
SELECT pg_catalog.setval('fabricbo_kept.rounds_index_seq', 1, false);
SELECT pg_catalog.setval('fabricbo_kept.trial_events_id_seq', 15, true);
SELECT pg_catalog.setval('fabricbo_kept.trials_index_seq', 1, false);
SELECT pg_catalog.setval('fabricbo_kept.votes_id_seq', 6, true);
SELECT pg_catalog.setval('fabricbo_kept.wishes_id_seq', 1, true);
ALTER TABLE ONLY fabricbo_kept.drawn_with
    ADD CONSTRAINT drawn_with_pkey PRIMARY KEY (trial);
ALTER TABLE ONLY fabricbo_kept.earlier
    ADD CONSTRAINT earlier_pkey PRIMARY KEY ("position");
ALTER TABLE ONLY fabricbo_kept.exclusions
    ADD CONSTRAINT exclusions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY fabricbo_kept.heldout
    ADD CONSTRAINT heldout_pkey PRIMARY KEY (trial);
ALTER TABLE ONLY fabricbo_kept.preferences
    ADD CONSTRAINT preferences_pkey PRIMARY KEY (id);
ALTER TABLE ONLY fabricbo_kept.questions
    ADD CONSTRAINT questions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY fabricbo_kept.raters
    ADD CONSTRAINT raters_pkey PRIMARY KEY (id);
ALTER TABLE ONLY fabricbo_kept.raters
    ADD CONSTRAINT raters_token_hash_key UNIQUE (token_hash);
ALTER TABLE ONLY fabricbo_kept.rating_state
    ADD CONSTRAINT rating_state_pkey PRIMARY KEY (id);
ALTER TABLE ONLY fabricbo_kept."references"
    ADD CONSTRAINT references_pkey PRIMARY KEY (id);
ALTER TABLE ONLY fabricbo_kept."references"
    ADD CONSTRAINT references_position_key UNIQUE ("position");
ALTER TABLE ONLY fabricbo_kept.rounds
    ADD CONSTRAINT rounds_pkey PRIMARY KEY (index);
ALTER TABLE ONLY fabricbo_kept.tasks
    ADD CONSTRAINT tasks_pkey PRIMARY KEY (id);
ALTER TABLE ONLY fabricbo_kept.tasks
    ADD CONSTRAINT tasks_question_rater_key UNIQUE (question, rater);
ALTER TABLE ONLY fabricbo_kept.trial_events
    ADD CONSTRAINT trial_events_key_key UNIQUE (key);
ALTER TABLE ONLY fabricbo_kept.trial_events
    ADD CONSTRAINT trial_events_pkey PRIMARY KEY (id);
ALTER TABLE ONLY fabricbo_kept.trials
    ADD CONSTRAINT trials_pkey PRIMARY KEY (index);
ALTER TABLE ONLY fabricbo_kept.votes
    ADD CONSTRAINT votes_key_key UNIQUE (key);
ALTER TABLE ONLY fabricbo_kept.votes
    ADD CONSTRAINT votes_pkey PRIMARY KEY (id);
ALTER TABLE ONLY fabricbo_kept.wishes
    ADD CONSTRAINT wishes_pkey PRIMARY KEY (id);
CREATE INDEX ix_votes_task ON fabricbo_kept.votes USING btree (task);
CREATE INDEX questions_by_answers ON fabricbo_kept.questions USING btree (withdrawn, answered, id);
CREATE INDEX tasks_by_rater ON fabricbo_kept.tasks USING btree (rater, answer);
ALTER TABLE ONLY fabricbo_kept.drawn_with
    ADD CONSTRAINT drawn_with_trial_fkey FOREIGN KEY (trial) REFERENCES fabricbo_kept.trials(index);
ALTER TABLE ONLY fabricbo_kept.exclusions
    ADD CONSTRAINT exclusions_rater_fkey FOREIGN KEY (rater) REFERENCES fabricbo_kept.raters(id);
ALTER TABLE ONLY fabricbo_kept.heldout
    ADD CONSTRAINT heldout_trial_fkey FOREIGN KEY (trial) REFERENCES fabricbo_kept.trials(index);
ALTER TABLE ONLY fabricbo_kept.preferences
    ADD CONSTRAINT preferences_better_fkey FOREIGN KEY (better) REFERENCES fabricbo_kept.trials(index);
ALTER TABLE ONLY fabricbo_kept.preferences
    ADD CONSTRAINT preferences_worse_fkey FOREIGN KEY (worse) REFERENCES fabricbo_kept.trials(index);
ALTER TABLE ONLY fabricbo_kept.questions
    ADD CONSTRAINT questions_only_for_fkey FOREIGN KEY (only_for) REFERENCES fabricbo_kept.raters(id);
ALTER TABLE ONLY fabricbo_kept.questions
    ADD CONSTRAINT questions_repeat_of_fkey FOREIGN KEY (repeat_of) REFERENCES fabricbo_kept.questions(id);
ALTER TABLE ONLY fabricbo_kept.tasks
    ADD CONSTRAINT tasks_question_fkey FOREIGN KEY (question) REFERENCES fabricbo_kept.questions(id);
ALTER TABLE ONLY fabricbo_kept.tasks
    ADD CONSTRAINT tasks_rater_fkey FOREIGN KEY (rater) REFERENCES fabricbo_kept.raters(id);
ALTER TABLE ONLY fabricbo_kept.trial_events
    ADD CONSTRAINT trial_events_trial_fkey FOREIGN KEY (trial) REFERENCES fabricbo_kept.trials(index);
ALTER TABLE ONLY fabricbo_kept.trials
    ADD CONSTRAINT trials_round_fkey FOREIGN KEY (round) REFERENCES fabricbo_kept.rounds(index);
ALTER TABLE ONLY fabricbo_kept.votes
    ADD CONSTRAINT votes_task_fkey FOREIGN KEY (task) REFERENCES fabricbo_kept.tasks(id);
